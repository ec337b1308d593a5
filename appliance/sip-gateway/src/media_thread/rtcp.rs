//! How do a leg's reports get to the phone, and the phone's to us?
//!
//! What they say is decided in `media::rtcp`, whose count in `media::phone`. They go with the thread's sweep like all
//! else, and leave no more in the clear than the audio does.

use media::cover::Cover;
use media::phone::FromPhone;
use media::rtcp::{Compound, Identity, NtpClock, Reports, Sent};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Instant, SystemTime};

/// Reports of one leg, and the port they come to unless they share that of RTP.
pub struct Rtcp {
    socket: UdpSocket,
    reports: Reports,
}

/// What a report needs to know of its leg.
pub struct Side<'a> {
    pub phone: &'a mut FromPhone,
    pub cover: &'a mut Cover,
    pub rtp: &'a UdpSocket,
    /// Our stream so far.
    pub sent: Sent,
    pub now: Instant,
}

impl Rtcp {
    /// For a leg that sends as `ssrc`.
    pub fn new(socket: UdpSocket, ssrc: u32, now: Instant) -> Rtcp {
        let name = format!("{:024x}", rand::random::<u128>() >> 32);
        let clock = NtpClock::new(now, SystemTime::now());
        Rtcp { socket, reports: Reports::new(Identity { ssrc, name, clock }) }
    }

    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    pub fn reports(&self) -> &Reports {
        &self.reports
    }

    /// There is somebody to report to.
    pub fn begin(&mut self, now: Instant) {
        self.reports.begin(now, rand::random());
    }

    pub fn is_due(&self, now: Instant) -> bool {
        self.reports.due().is_some_and(|due| now >= due)
    }

    /// Sends the report that is due.
    pub fn report(&mut self, side: Side<'_>) {
        let compound = self.reports.report(side.phone.report(), side.sent, side.now, rand::random());
        self.send(&compound, side);
    }

    /// Sends the last one.
    pub fn goodbye(&mut self, side: Side<'_>) {
        if let Some(compound) = self.reports.goodbye(side.phone.report(), side.sent, side.now) {
            self.send(&compound, side);
        }
    }

    /// Takes a datagram; `at_rtp`: it came to the port of RTP. What is not the phone's, or is no report, is nothing.
    pub fn handle(&mut self, datagram: &[u8], from: SocketAddr, at_rtp: bool, side: Side<'_>) {
        let Some(opened) = side.cover.open_reports(datagram) else { return };
        let Ok(compound) = Compound::parse(opened.as_ref()) else { return };
        if side.phone.accepts_report(&compound, from, at_rtp, side.now) {
            self.reports.heard(&compound, side.sent, side.now);
        }
    }

    fn send(&self, compound: &[u8], side: Side<'_>) {
        let Some((to, by_rtp)) = side.phone.report_destination() else { return };
        let socket = if by_rtp { side.rtp } else { &self.socket };
        if let Some(sealed) = side.cover.seal_reports(compound) {
            _ = socket.send_to(sealed.as_ref(), to);
        }
    }
}
