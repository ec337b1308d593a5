//! What is said to a leg, and what it wants done.

use std::time::Duration;
use types::control::LegEndCause;

/// Limits of one leg.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Until the answer.
    pub ringing: Duration,
    /// After the answer; at most 24 h.
    pub duration: Duration,
    /// What a caller gets whom nobody answered.
    pub unanswered: u16,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The room is joined.
    Joined,
    /// Somebody in the room publishes audio, or another phone is there.
    SomebodySpeaks,
    /// The PIN was right: the room is being joined.
    LetIn(Limits),
    /// The PIN was wrong for the last time, or none was typed.
    TurnedAway,
    /// The control plane wants it answered now.
    Answer,
    /// The control plane refuses the caller.
    Reject {
        code: u16,
    },
    /// The control plane hangs up.
    HangUp,
    /// 18x from the phone that we dial.
    PeerRings,
    /// 200 OK from the phone that we dial, or our own 200 is accepted.
    Connected,
    /// The phone that we dial refused (or never answered: 408).
    PeerRefused {
        code: u16,
    },
    /// CANCEL from an inbound caller.
    PeerCancelled,
    /// BYE from the phone.
    PeerHungUp,
    /// A re-INVITE of the phone put us on hold, or took us back.
    PeerHolds(bool),
    /// Our re-INVITE put the phone on hold, or took it back.
    WeHold(bool),
    /// REFER succeeded.
    Transferred,
    /// Somebody took the phone's place, as it asked by REFER: it has a moment to hang up by itself.
    HandedOver,
    /// The room ended or threw us out.
    RoomClosed,
    /// The room could not be joined, or not again.
    RoomLost,
    /// No RTP for too long.
    MediaTimedOut,
    /// The daemon ends.
    Stopping,
    Tick,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// 180 to the caller.
    SendRinging,
    /// 200 to the caller.
    Answer,
    /// A final refusal to the caller.
    Reject {
        code: u16,
    },
    /// CANCEL to the phone that we dial.
    Cancel,
    /// BYE.
    HangUp,
    /// For this reason.
    LeaveRoom(LegEndCause, Option<u16>),
    /// The participant attribute `sip.callStatus`.
    Status(&'static str),
    /// To the event spool.
    ReportRinging,
    ReportAnswered,
    ReportHeld {
        by_peer: bool,
    },
    ReportUnheld {
        by_peer: bool,
    },
    /// Always the last output.
    Ended {
        cause: LegEndCause,
        sip_code: Option<u16>,
    },
}
