//! Does a call work on this box? `self-call` makes one and listens to what was recorded of it.
//!
//! [`story`] has the steps in order: ask `control-api` for the box's own number ([`control`]), ring it
//! over SIP on loopback ([`call`]), wait for the [`beep`], play a [`code`](media::tone_code) made for this call alone over
//! RTP ([`line`]), hang up, fetch the recording and find the same code in it. So one run proves
//! gateway, LiveKit, dialplan, voice-worker and object store together; [`report`] names the step that
//! did not work.

pub mod beep;
pub mod call;
pub mod control;
pub mod line;
pub mod report;
pub mod story;
