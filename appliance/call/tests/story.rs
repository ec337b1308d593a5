//! One call told in virtual time.
#![allow(dead_code)] // each test file uses a part of it

use call::{Call, Extension, Input, Kind, Output, Party, Ring, State, TimeoutAction};
use std::time::Duration;
use types::{EndReason, ExtensionId, UserId};

pub const CALLEE: Party = Party(1);
pub const SECOND: Party = Party(2);

/// A call and its clock.
pub struct Story {
    pub call: Call,
    now: Duration,
}

impl Story {
    pub fn inbound() -> Self {
        Self { call: Call::inbound(), now: Duration::ZERO }
    }

    pub fn outbound() -> Self {
        Self { call: Call::outbound(), now: Duration::ZERO }
    }

    /// Says something to the call and takes what it wants done.
    pub fn say(&mut self, input: Input) -> Vec<Output> {
        self.call.handle(input, self.now);
        self.drain()
    }

    /// Lets time pass; the call gets its tick if it asked for one by then.
    pub fn after(&mut self, seconds: u64) -> Vec<Output> {
        self.now += Duration::from_secs(seconds);
        if self.call.deadline().is_some_and(|deadline| deadline <= self.now) {
            return self.say(Input::Tick);
        }
        Vec::new()
    }

    /// Stores the call and reads it back, as over a restart.
    pub fn restart(&mut self) -> Vec<Output> {
        let stored = serde_json::to_string(&self.call).unwrap();
        self.call = serde_json::from_str(&stored).unwrap();
        self.call.resume(self.now);
        self.drain()
    }

    /// Routes the call to an extension.
    pub fn ring(&mut self, extension: &Extension) -> Vec<Output> {
        let action = dialplan::Action::RingExtension { extension_id: extension.id };
        assert_eq!(self.say(Input::Routed(action)), [Output::Look(extension.id)]);
        self.say(Input::Found(Box::new(extension.clone())))
    }

    pub fn state(&self) -> State {
        self.call.state()
    }

    fn drain(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.call.poll_output()).collect()
    }
}

pub fn user_extension() -> (Extension, UserId) {
    let user = UserId::new();
    (extension(Kind::Wave { user }), user)
}

/// 25 seconds, then hang up.
pub fn extension(kind: Kind) -> Extension {
    Extension {
        id: ExtensionId::new(),
        kind,
        dnd: false,
        always: None,
        busy: None,
        no_answer: None,
        ring_timeout: Duration::from_secs(25),
        timeout_action: TimeoutAction::Hangup,
    }
}

pub fn ring_user(party: Party, extension: &Extension, user: UserId) -> Output {
    let ring = Ring::User { user, extension: extension.id };
    Output::Ring { party, ring, timeout: extension.ring_timeout }
}

pub fn ring_outside(party: Party, to: &str, extension: Option<&Extension>, timeout_s: u64) -> Output {
    let ring = Ring::Outside { to: to.parse().unwrap(), extension: extension.map(|extension| extension.id) };
    Output::Ring { party, ring, timeout: Duration::from_secs(timeout_s) }
}

/// The last words of a call whose caller was never connected.
pub fn rejected(reason: EndReason, code: u16) -> Vec<Output> {
    vec![Output::RejectCaller { code }, ended(reason, Some(code))]
}

pub fn ended(reason: EndReason, sip_code: Option<u16>) -> Output {
    Output::Ended { reason, sip_code, code: None }
}
