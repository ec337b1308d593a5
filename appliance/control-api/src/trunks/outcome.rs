//! What does a sync's result mean for the trunk: `synced`, still `pending`, or `error`, why, what to
//! do about it, and when is the next try?
//!
//! Pure: what LiveKit and the carrier said goes in, the row's new columns come out.

use jiff::{SignedDuration, Timestamp};
use store::trunks::{SyncResult, SyncStatus, Trunk};
use types::control::{RegistrationState, RegistrationView};

const LONGEST_WAIT_S: i64 = 300;

/// LiveKit's side of a trunk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects {
    pub outbound: Option<String>,
    pub inbound: Option<String>,
    pub rule: Option<String>,
    pub resolved: Vec<String>,
}

/// Something that stood in the way before the carrier was even asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Obstacle {
    pub error: String,
    pub hint: &'static str,
}

/// The carrier's side.
#[derive(Clone, Debug, PartialEq)]
pub enum Registration {
    NotWanted,
    /// Asked for just now; the answer comes as an event.
    Underway(Option<RegistrationView>),
    Known(RegistrationView),
    /// The gateway could not be asked.
    Unknown(Obstacle),
}

/// Puts both sides together.
pub fn settle(
    trunk: &Trunk,
    objects: Result<Objects, Obstacle>,
    registration: Registration,
    now: Timestamp,
) -> SyncResult {
    let view = view(&registration);
    let kept = Objects {
        outbound: None,
        inbound: trunk.lk_inbound_trunk_id.clone(),
        rule: trunk.lk_dispatch_rule_id.clone(),
        resolved: trunk.resolved_addresses.clone(),
    };
    match (objects, registration) {
        (Err(obstacle), _) => failed(trunk, kept, Failure::of(trunk, obstacle, now), view),
        (Ok(objects), Registration::Unknown(obstacle)) => {
            failed(trunk, objects, Failure::of(trunk, obstacle, now), view)
        }
        (Ok(objects), Registration::NotWanted) => fine(SyncStatus::Synced, objects, view),
        (Ok(objects), Registration::Underway(_)) => pending(trunk, objects, view),
        (Ok(objects), Registration::Known(known)) => match Failure::by_carrier(&known) {
            _ if known.state == RegistrationState::Registered => fine(SyncStatus::Synced, objects, view),
            _ if known.state == RegistrationState::NotAvailable => failed(trunk, objects, Failure::of_engine(), view),
            Some(failure) => failed(trunk, objects, failure, view),
            None => pending(trunk, objects, view),
        },
    }
}

struct Failure {
    error: String,
    hint: Option<&'static str>,
    attempts: u32,
    next: Option<Timestamp>,
}

impl Failure {
    fn of(trunk: &Trunk, obstacle: Obstacle, now: Timestamp) -> Self {
        let attempts = trunk.sync_attempts.saturating_add(1);
        let next = now.checked_add(SignedDuration::from_secs(wait_s(attempts))).ok();
        Self { error: obstacle.error, hint: Some(obstacle.hint), attempts, next }
    }

    /// Whatever the carrier would say: nobody asks it.
    fn of_engine() -> Self {
        Self {
            error: "not available: livekit-sip registers with no carrier".into(),
            hint: Some(
                "set sip.engine = \"sip-gateway\" in box.toml, or register = false where the carrier knows our address",
            ),
            attempts: 0,
            next: None,
        }
    }

    /// None while there is no answer yet, or the last one was a success.
    fn by_carrier(view: &RegistrationView) -> Option<Self> {
        let answer = view.last_response.as_ref()?;
        let refused = view.state == RegistrationState::Failed || (view.failures > 0 && answer.code >= 300);
        refused.then(|| Self {
            error: format!("{} {}", answer.code, answer.reason).trim_end().to_owned(),
            hint: hint(answer.code),
            attempts: view.failures.max(1),
            next: view.next_try_at,
        })
    }
}

/// Two seconds, then twice as long each time, at most five minutes.
fn wait_s(attempts: u32) -> i64 {
    1_i64.checked_shl(attempts.min(16)).map_or(LONGEST_WAIT_S, |seconds| seconds.min(LONGEST_WAIT_S))
}

/// What a carrier usually means by its answer.
fn hint(code: u16) -> Option<&'static str> {
    match code {
        401 | 407 => Some("wrong sip_auth_username or sip_auth_password: compare them with the carrier's portal"),
        403 => Some("the carrier does not accept our address: send it the egress_ip of GET /v1/network-info"),
        404 => Some("the carrier does not know this sip_auth_username"),
        408 => Some("nothing came back: a firewall drops our packets, or nobody listens at sip_server_address"),
        503 => Some("trouble at the carrier, or sip_server_address does not resolve: check its spelling"),
        _ => None,
    }
}

fn view(registration: &Registration) -> Option<RegistrationView> {
    match registration {
        Registration::Known(view) => Some(view.clone()),
        Registration::Underway(view) => view.clone(),
        Registration::NotWanted | Registration::Unknown(_) => None,
    }
}

fn fine(status: SyncStatus, objects: Objects, registration: Option<RegistrationView>) -> SyncResult {
    SyncResult {
        status,
        error: None,
        hint: None,
        attempts: 0,
        next_sync_at: None,
        sip_trunk_id: objects.outbound,
        lk_inbound_trunk_id: objects.inbound,
        lk_dispatch_rule_id: objects.rule,
        resolved_addresses: objects.resolved,
        registration,
    }
}

/// A trunk that was synced before serves calls meanwhile; a new one waits for the carrier's word.
fn pending(trunk: &Trunk, objects: Objects, registration: Option<RegistrationView>) -> SyncResult {
    let outbound = objects.outbound.filter(|_| trunk.sip_trunk_id.is_some());
    fine(SyncStatus::Pending, Objects { outbound, ..objects }, registration)
}

fn failed(trunk: &Trunk, objects: Objects, failure: Failure, registration: Option<RegistrationView>) -> SyncResult {
    SyncResult {
        error: Some(failure.error),
        hint: failure.hint.map(str::to_owned),
        attempts: failure.attempts,
        next_sync_at: failure.next,
        sip_trunk_id: None,
        registration: registration.or_else(|| trunk.registration.clone()),
        ..fine(SyncStatus::Error, objects, None)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use store::trunks::*;
    use types::{TenantId, TrunkId, control::SipAnswer};

    pub fn trunk() -> Trunk {
        Trunk {
            id: TrunkId::new(),
            tenant_id: TenantId::new(),
            spec: TrunkSpec {
                name: "Carrier".into(),
                sip_server_address: "sip.example.com".into(),
                sip_transport: SipTransport::Udp,
                auth_mode: AuthMode::Credentials,
                sip_auth_username: Some("u".into()),
                sip_auth_password: Some("p".into()),
                register: true,
                allowed_addresses: vec![],
                media_encryption: MediaEncryption::Disable,
                codecs: vec![Codec::Pcmu],
                accept_transfers: false,
                number_format: NumberFormat::Any,
                priority: 100,
                enabled: true,
            },
            sync_status: SyncStatus::Pending,
            sync_last_error: None,
            sync_hint: None,
            sync_attempts: 0,
            next_sync_at: None,
            sip_trunk_id: None,
            lk_inbound_trunk_id: Some("ST_in".into()),
            lk_dispatch_rule_id: None,
            resolved_addresses: vec![],
            registration: None,
            health: None,
            revision: 1,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn objects() -> Objects {
        Objects { outbound: Some("ST_out".into()), ..Objects::default() }
    }

    fn carrier(state: RegistrationState, answer: Option<(u16, &str)>, failures: u32) -> Registration {
        Registration::Known(RegistrationView {
            trunk_id: TrunkId::new(),
            state,
            expires_at: None,
            last_response: answer.map(|(code, reason)| SipAnswer { code, reason: reason.into() }),
            failures,
            next_try_at: Some("2026-11-21T12:00:30Z".parse().unwrap()),
        })
    }

    fn settled(registration: Registration) -> SyncResult {
        settle(&trunk(), Ok(objects()), registration, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_registered_trunk_is_synced() {
        let result = settled(carrier(RegistrationState::Registered, Some((200, "OK")), 0));
        assert_eq!((result.status, result.sip_trunk_id.as_deref()), (SyncStatus::Synced, Some("ST_out")));
    }

    #[test]
    fn a_trunk_waits_for_the_carriers_first_answer() {
        let result = settled(carrier(RegistrationState::Registering, None, 0));
        assert_eq!((result.status, result.error, result.sip_trunk_id), (SyncStatus::Pending, None, None));
    }

    #[test]
    fn a_trunk_that_was_synced_serves_calls_while_it_is_synced_again() {
        let before = Trunk { sip_trunk_id: Some("ST_out".into()), ..trunk() };
        let underway = carrier(RegistrationState::Registering, None, 0);
        let result = settle(&before, Ok(objects()), underway, Timestamp::UNIX_EPOCH);
        assert_eq!((result.status, result.sip_trunk_id.as_deref()), (SyncStatus::Pending, Some("ST_out")));
    }

    #[test]
    fn a_refusal_is_told_in_the_carriers_own_words() {
        let result = settled(carrier(RegistrationState::Failed, Some((403, "Who are you?")), 3));
        assert_eq!(result.status, SyncStatus::Error);
        assert_eq!(result.error.as_deref(), Some("403 Who are you?"));
        assert!(result.hint.unwrap().contains("egress_ip"));
        assert_eq!((result.sip_trunk_id, result.attempts), (None, 3));
        assert_eq!(result.next_sync_at.unwrap().to_string(), "2026-11-21T12:00:30Z");
    }

    #[test]
    fn what_the_engine_cannot_do_is_not_the_carriers_refusal() {
        let result = settled(carrier(RegistrationState::NotAvailable, None, 0));
        assert_eq!((result.status, result.sip_trunk_id, result.attempts), (SyncStatus::Error, None, 0));
        assert_eq!(result.error.as_deref(), Some("not available: livekit-sip registers with no carrier"));
        assert!(result.hint.unwrap().contains("sip.engine = \"sip-gateway\""));
        assert_eq!(result.registration.unwrap().state, RegistrationState::NotAvailable);
    }

    #[test]
    fn a_trunk_that_is_tried_again_keeps_its_error_until_the_answer() {
        let result = settled(carrier(RegistrationState::Registering, Some((401, "Unauthorized")), 2));
        assert_eq!((result.status, result.error.as_deref()), (SyncStatus::Error, Some("401 Unauthorized")));
    }

    #[test]
    fn without_livekit_calls_still_find_the_trunk_that_let_them_in() {
        let obstacle = Obstacle { error: "could not reach livekit-server".into(), hint: "start it" };
        let result = settle(&trunk(), Err(obstacle), Registration::NotWanted, Timestamp::UNIX_EPOCH);
        assert_eq!((result.status, result.sip_trunk_id), (SyncStatus::Error, None));
        assert_eq!(result.lk_inbound_trunk_id.as_deref(), Some("ST_in"));
        assert_eq!(result.next_sync_at.unwrap().as_second(), 2);
    }

    #[test]
    fn tries_are_never_more_than_five_minutes_apart() {
        let waits: Vec<_> = [1, 2, 3, 8, 9, 40, u32::MAX].map(wait_s).into();
        assert_eq!(waits, [2, 4, 8, 256, 300, 300, 300]);
    }
}
