//! How do we wait for a key without giving anybody a shell?
//!
//! The terminal neither echoes nor turns Ctrl-C and friends into signals, so every key is a byte for us.

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr},
    unistd::read,
};
use std::{
    io::{IsTerminal, Stdin},
    os::fd::AsFd,
    time::Duration,
};

pub enum Pressed {
    Redraw,
    Nothing,
    /// The terminal hung up.
    Gone,
}

pub struct Keys(Stdin);

impl Keys {
    pub fn open() -> nix::Result<Self> {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            let mut terminal = tcgetattr(&stdin)?;
            terminal.local_flags.remove(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG | LocalFlags::IEXTEN);
            tcsetattr(&stdin, SetArg::TCSANOW, &terminal)?;
        }
        Ok(Self(stdin))
    }

    /// Until a key or `limit`.
    pub fn wait(&self, limit: Duration) -> nix::Result<Pressed> {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX))? == 0 {
            return Ok(Pressed::Nothing);
        }
        let mut typed = [0; 64];
        Ok(match read(&self.0, &mut typed)? {
            0 => Pressed::Gone,
            bytes if typed[..bytes].contains(&b'r') => Pressed::Redraw,
            _ => Pressed::Nothing,
        })
    }
}
