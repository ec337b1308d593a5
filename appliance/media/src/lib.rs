//! What does a call sound like, and how do its packets look on the wire?
//!
//! Everything here is pure: time is an argument, packets are byte slices, nothing opens a socket.
//! A frame is 20 ms throughout ([`codec::FRAME`]). Times are counted at 8 kHz, as the RTP of most phones does; that of
//! Opus is six times as fast, on the wire alone. A sound has 8 kHz too, or 16 where the phone speaks G.722 or Opus
//! ([`codec::Rate`]), and Opus decodes to either directly.
//!
//! | question | module |
//! |---|---|
//! | which address, codec and direction do both sides agree on? | [`sdp`] |
//! | what is in a packet, and were any lost? | [`rtp`] |
//! | what do both sides tell each other of that? | [`rtcp`] |
//! | how good does it sound? | [`quality`] |
//! | which key was pressed, and how do we press one? | [`dtmf`] |
//! | how do bytes become samples? | [`codec`] |
//! | when does a frame of the room play? | [`playout`] |
//! | what goes to the phone now, what came from it? | [`phone`] |
//! | what do we play ourselves? | [`sound`] |
//! | who else may listen? | [`cover`], with keys of [`sdp`] or [`dtls`], by [`srtp`] |
//! | which way leads to a phone in a browser? | [`ice`] |
//! | which UDP port is free? | [`ports`] |
//! | is this sound a [`tone`], and are these the tones of our call? | [`tone_code`] |
//!
//! Sockets and threads: `sip-gateway::media_thread`. The room's side: `livekit::RoomSession`.

pub mod codec;
pub mod cover;
pub mod dtls;
pub mod dtmf;
pub mod ice;
pub mod phone;
pub mod playout;
pub mod ports;
pub mod quality;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod sound;
pub mod srtp;
pub mod tone;
pub mod tone_code;
