//! Stories of a session, told without a socket and in virtual time.

mod media;
mod signalling;
mod world;
