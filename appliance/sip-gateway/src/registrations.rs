//! Are we registered with every carrier that wants it?
//!
//! The control plane sets the whole list; each entry runs in a task that asks
//! [`sip::registration::Registration`] when to send, and reports every change as an event.

use crate::gateway::Gateway;
use jiff::Timestamp;
use parking_lot::Mutex;
use sip::{
    Credentials, RegisterRequest, Transport,
    registration::{Action, Registration, Report},
};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, task::JoinHandle};
use types::{
    TrunkId,
    control::{Event, RegistrationSpec, RegistrationState, RegistrationView, SipAnswer},
};

/// How long a stopping gateway waits for its carriers to let go.
const LEAVE_LIMIT: Duration = Duration::from_secs(3);

/// All registrations of this gateway.
#[derive(Default)]
pub struct Registrations {
    entries: Mutex<HashMap<TrunkId, Entry>>,
}

struct Entry {
    spec: RegistrationSpec,
    view: Arc<Mutex<RegistrationView>>,
    orders: mpsc::UnboundedSender<Order>,
    task: JoinHandle<()>,
}

enum Order {
    Refresh,
    Leave,
}

impl Registrations {
    /// Makes `specs` the whole list: what is new or changed registers now, what is gone unregisters.
    pub fn replace(&self, gateway: &Arc<Gateway>, specs: Vec<RegistrationSpec>) {
        let mut entries = self.entries.lock();
        entries.retain(|_, entry| {
            let kept = specs.contains(&entry.spec);
            if !kept {
                entry.orders.send(Order::Leave).ok();
            }
            kept
        });
        for spec in specs {
            let trunk = spec.trunk_id;
            entries.entry(trunk).or_insert_with(|| Entry::start(gateway, spec));
        }
    }

    /// Registers one trunk now; false when it is not on the list.
    pub fn refresh(&self, trunk: TrunkId) -> bool {
        let entries = self.entries.lock();
        entries.get(&trunk).is_some_and(|entry| entry.orders.send(Order::Refresh).is_ok())
    }

    /// Registers all trunks now: we are to be found at another address.
    pub fn refresh_all(&self) {
        for entry in self.entries.lock().values() {
            entry.orders.send(Order::Refresh).ok();
        }
    }

    pub fn views(&self) -> Vec<RegistrationView> {
        self.entries.lock().values().map(|entry| entry.view.lock().clone()).collect()
    }

    /// Unregisters everywhere, as far as the carriers answer in time.
    pub async fn close(&self) {
        let entries: Vec<_> = self.entries.lock().drain().map(|(_, entry)| entry).collect();
        for entry in &entries {
            entry.orders.send(Order::Leave).ok();
        }
        let all = async {
            for entry in entries {
                entry.task.await.ok();
            }
        };
        if tokio::time::timeout(LEAVE_LIMIT, all).await.is_err() {
            tracing::warn!("some carriers did not answer when we unregistered");
        }
    }
}

impl Entry {
    fn start(gateway: &Arc<Gateway>, spec: RegistrationSpec) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        let view = Arc::new(Mutex::new(RegistrationView {
            trunk_id: spec.trunk_id,
            state: RegistrationState::Registering,
            expires_at: None,
            last_response: None,
            failures: 0,
            next_try_at: None,
        }));
        let keeper = Keeper { gateway: gateway.clone(), spec: spec.clone(), view: view.clone() };
        let task = tokio::spawn(keeper.run(received));
        Self { spec, view, orders, task }
    }
}

/// Keeps one registration alive.
struct Keeper {
    gateway: Arc<Gateway>,
    spec: RegistrationSpec,
    view: Arc<Mutex<RegistrationView>>,
}

impl Keeper {
    async fn run(self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let expires = Duration::from_secs(self.spec.expires_s.into());
        let mut registration = Registration::new(expires, Instant::now());
        while !registration.is_over() {
            match registration.poll(Instant::now()) {
                Some(action) => self.act(action, &mut registration).await,
                None => self.wait(&mut registration, &mut orders).await,
            }
        }
    }

    async fn act(&self, action: Action, registration: &mut Registration) {
        let expires = match action {
            Action::Register { expires } => expires,
            Action::Unregister => Duration::ZERO,
        };
        let outcome = self.gateway.endpoint.register(&self.request(expires)).await;
        registration.handle(&outcome, Instant::now());
        let answer = SipAnswer { code: outcome.code, reason: outcome.reason };
        self.publish(registration.report(Instant::now()), answer);
    }

    async fn wait(&self, registration: &mut Registration, orders: &mut mpsc::UnboundedReceiver<Order>) {
        let now = Instant::now();
        let wake = registration.next_wakeup(now).unwrap_or(now + Duration::from_secs(60));
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Refresh) => registration.refresh(Instant::now()),
                Some(Order::Leave) | None => registration.stop(Instant::now()),
            },
            _ = tokio::time::sleep_until(wake.into()) => {}
        }
    }

    fn request(&self, expires: Duration) -> RegisterRequest {
        let spec = &self.spec;
        let domain = sip::uri::host_of(&spec.server);
        RegisterRequest {
            key: spec.trunk_id.to_string(),
            registrar: spec.server.clone(),
            proxy: None,
            aor: format!("{}@{domain}", spec.username),
            credentials: Some(Credentials { user: spec.username.clone(), password: spec.password.expose().clone() }),
            transport: Transport::named(&spec.transport).unwrap_or_default(),
            expires,
        }
    }

    /// Every answer is an event: the control plane counts tries and shows the carrier's words.
    fn publish(&self, report: Report, answer: SipAnswer) {
        let view = {
            let mut view = self.view.lock();
            apply(&mut view, report, answer);
            view.clone()
        };
        tracing::info!(
            trunk.id = %view.trunk_id, state = ?view.state,
            sip.code = view.last_response.as_ref().map(|answer| answer.code), "registration"
        );
        self.gateway.spool.append(None, Event::RegistrationChanged { registration: view });
    }
}

fn apply(view: &mut RegistrationView, report: Report, answer: SipAnswer) {
    view.last_response = Some(answer);
    match report {
        Report::Registered { until } => {
            view.state = RegistrationState::Registered;
            view.expires_at = at(until);
            view.failures = 0;
            view.next_try_at = None;
        }
        Report::Failing { retry_at, until, .. } => {
            view.state = RegistrationState::Failed;
            view.expires_at = until.and_then(at);
            view.failures += 1;
            view.next_try_at = at(retry_at);
        }
        Report::Idle | Report::Registering | Report::Unregistered => {
            view.state = RegistrationState::Registering;
            view.expires_at = None;
        }
    }
}

/// The wall clock's time of a moment to come.
fn at(moment: Instant) -> Option<Timestamp> {
    let ahead = moment.saturating_duration_since(Instant::now());
    Timestamp::now().checked_add(jiff::SignedDuration::try_from(ahead).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> RegistrationView {
        RegistrationView {
            trunk_id: TrunkId::new(),
            state: RegistrationState::Registering,
            expires_at: None,
            last_response: None,
            failures: 0,
            next_try_at: None,
        }
    }

    fn answer(code: u16) -> SipAnswer {
        SipAnswer { code, reason: "words".into() }
    }

    #[test]
    fn failures_are_counted_until_a_success() {
        let (mut view, now) = (view(), Instant::now());
        let failing = || Report::Failing { code: 403, reason: "no".into(), since: now, retry_at: now, until: None };
        apply(&mut view, failing(), answer(403));
        apply(&mut view, failing(), answer(403));
        assert_eq!((view.state, view.failures), (RegistrationState::Failed, 2));
        apply(&mut view, Report::Registered { until: now + Duration::from_secs(60) }, answer(200));
        assert_eq!((view.state, view.failures), (RegistrationState::Registered, 0));
        assert!(view.expires_at.unwrap() > Timestamp::now());
    }
}
