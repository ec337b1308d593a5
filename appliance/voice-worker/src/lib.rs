//! What speaks and listens in a call when nobody is there?
//!
//! `voice-worker` is dispatched into a room by LiveKit, joins as a participant and does one task:
//! take a message ([`voicemail`]) or speak one ([`announcement`]).
//!
//! | question | module |
//! |---|---|
//! | which jobs are taken, how do they end? | [`worker`], [`job`] |
//! | what happens next in a task? (pure) | [`script`], [`voicemail`], [`announcement`] |
//! | what is said, and when does each 20 ms leave? | [`prompts`], [`playback`], [`conversation`] |
//! | what was heard, and when? (pure) | [`hearing`], [`timeline`], [`loudness`] |
//! | where is a message until it is stored? | [`tape`], [`recording_file`], [`shelf`], [`upload`] |
//!
//! The room's protocol: `livekit`. Sound files and speech: `speech`. Storage: `objects`.

pub mod announcement;
pub mod config;
pub mod conversation;
pub mod hearing;
pub mod job;
pub mod loudness;
pub mod playback;
pub mod prompts;
pub mod recording_file;
pub mod room;
pub mod script;
pub mod shelf;
pub mod tape;
pub mod timeline;
pub mod upload;
pub mod voicemail;
pub mod worker;
