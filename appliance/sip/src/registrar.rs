//! Which desk phones are ours, and how are they rung?
//!
//! The registrar of RFC 3261 section 10.3. A phone in one of the networks we listen to proves by
//! digest that it has an account, and its contact is kept with the way its REGISTER came: calls go
//! back that way, through whatever NAT is in between, which [`keep_alive`] keeps open. Unknown accounts
//! and wrong passwords are told the same. Contacts are in [`crate::locations`].

use crate::core::Core;
use crate::digest::{Answer, NONCE_SECONDS, NonceKey, challenge, unix_seconds};
use crate::header::NameAddr;
use crate::ids::{new_cnonce, new_tag};
use crate::locations::{Binding, Locations, Register, SHORTEST, Unfit};
use crate::message::{Request, Response};
use crate::stack::ServerTransaction;
use crate::transport::{Flow, Transport};
use crate::uri::SipUri;
use ipnet::IpNet;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{debug, info};

/// The realm of our phones' passwords.
pub const REALM: &str = "ScaiBox";

/// Routers forget a UDP flow after 30 s and more.
const KEEP_ALIVE: Duration = Duration::from_secs(25);

/// Somebody who may register.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// By which contacts are asked for.
    pub key: String,
    pub user: String,
    pub password: String,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("key", &self.key).field("user", &self.user).finish_non_exhaustive()
    }
}

/// A phone that is there.
#[derive(Clone)]
pub struct Contact {
    pub uri: String,
    /// Where its REGISTER came from.
    pub source: SocketAddr,
    pub transport: Transport,
    pub user_agent: Option<String>,
    pub expires_in: Duration,
    pub(crate) flow: Flow,
}

impl std::fmt::Debug for Contact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contact").field("uri", &self.uri).field("source", &self.source).finish_non_exhaustive()
    }
}

/// What a phone's request proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Nothing yet, or by a nonce that is too old or used: challenge it.
    Missing,
    Wrong,
    /// The key of its account.
    Right(String),
}

pub(crate) struct Registrar {
    networks: Vec<IpNet>,
    /// By user name; `None` until we are told.
    accounts: Mutex<Option<HashMap<String, Account>>>,
    locations: Mutex<Locations<Flow>>,
    nonces: NonceKey,
    /// How often each nonce was used, and until when that must be known.
    uses: Mutex<HashMap<String, (u32, Instant)>>,
}

impl Registrar {
    pub fn new(networks: Vec<IpNet>, nonces: NonceKey) -> Registrar {
        Registrar { networks, accounts: Mutex::default(), locations: Mutex::default(), nonces, uses: Mutex::default() }
    }

    pub fn listens_to(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.networks.iter().any(|network| network.contains(&ip))
    }

    /// The whole list; phones of accounts that are gone or changed have to come again.
    pub fn set_accounts(&self, accounts: Vec<Account>) {
        let new: HashMap<_, _> = accounts.into_iter().map(|account| (account.user.clone(), account)).collect();
        let old = self.accounts.lock().replace(new.clone()).unwrap_or_default();
        let kept = |user: &str| old.get(user) == new.get(user);
        self.locations.lock().retain(kept, |binding| binding.flow.is_alive());
    }

    pub fn is_user(&self, user: &str) -> bool {
        self.account_of(user).is_some()
    }

    fn is_ready(&self) -> bool {
        self.accounts.lock().is_some()
    }

    fn account_of(&self, user: &str) -> Option<Account> {
        self.accounts.lock().as_ref()?.get(user).cloned()
    }

    fn user_of(&self, key: &str) -> Option<String> {
        let accounts = self.accounts.lock();
        accounts.as_ref()?.values().find(|account| account.key == key).map(|account| account.user.clone())
    }

    /// Did a phone register the way that this request came?
    pub fn knows(&self, flow: &Flow) -> bool {
        self.locations.lock().all(Instant::now()).any(|binding| same_way(&binding.flow, flow))
    }

    /// Where the phones of an account are, the last one that registered first.
    pub fn contacts(&self, key: &str) -> Vec<Contact> {
        let Some(user) = self.user_of(key) else { return Vec::new() };
        let (now, locations) = (Instant::now(), self.locations.lock());
        let there = locations.of(&user, now).into_iter().filter(|binding| binding.flow.is_alive());
        there.map(|binding| contact(binding, now)).collect()
    }

    /// Does this `Authorization` or `Proxy-Authorization` value prove that the request is from `user`?
    pub fn check(&self, value: Option<&str>, user: &str, method: &str, call_id: &str) -> Proof {
        let Some(answer) = value.and_then(Answer::parse) else { return Proof::Missing };
        if !self.nonces.is_ours(&answer.nonce, call_id, unix_seconds()) {
            return Proof::Missing;
        }
        // Nobody learns from the time it takes which accounts there are.
        let nobody = Account { key: String::new(), user: user.to_owned(), password: new_tag() };
        let account = self.account_of(user).unwrap_or(nobody);
        match answer.realm == REALM && answer.proves(&account.user, &account.password, method) {
            false => Proof::Wrong,
            true if !self.first_use(&answer) => Proof::Missing,
            true => Proof::Right(account.key),
        }
    }

    pub fn challenge(&self, call_id: &str, again: bool) -> String {
        challenge(REALM, &self.nonces.nonce(call_id, &new_cnonce(), unix_seconds()), true, again)
    }

    /// Whoever overheard a proof cannot use it again.
    fn first_use(&self, answer: &Answer) -> bool {
        let now = Instant::now();
        let mut uses = self.uses.lock();
        uses.retain(|_, (_, until)| *until > now);
        let count = answer.count().unwrap_or(1);
        let (last, _) = uses.entry(answer.nonce.clone()).or_insert((0, now + Duration::from_secs(NONCE_SECONDS)));
        let first = count > *last;
        *last = count.max(*last);
        first
    }
}

fn contact(binding: &Binding<Flow>, now: Instant) -> Contact {
    Contact {
        uri: binding.uri.clone(),
        source: binding.flow.peer,
        transport: binding.flow.transport(),
        user_agent: binding.user_agent.clone(),
        expires_in: binding.expires_at.saturating_duration_since(now),
        flow: binding.flow.clone(),
    }
}

fn same_way(one: &Flow, other: &Flow) -> bool {
    one.peer == other.peer && one.transport() == other.transport()
}

/// Answers a REGISTER.
pub(crate) async fn serve(core: Arc<Core>, mut transaction: ServerTransaction) {
    let response = answer_to(&core, &transaction.request, &transaction.flow);
    transaction.respond(&response).await;
}

fn answer_to(core: &Core, request: &Request, flow: &Flow) -> Response {
    let registrar = &core.registrar;
    if !registrar.listens_to(flow.peer.ip()) {
        return core.answer(request, 403, Some("Not From This Network"), Some(&new_tag()));
    }
    if !registrar.is_ready() {
        let mut response = core.answer(request, 503, Some("Starting"), Some(&new_tag()));
        response.headers.push("Retry-After", "2");
        return response;
    }
    let user = request.headers.first("To").and_then(NameAddr::parse).and_then(|to| SipUri::parse(&to.uri));
    let user = user.map(|uri| uri.user).unwrap_or_default();
    let call_id = request.headers.first("Call-ID").unwrap_or_default();
    let proof = request.headers.first("Authorization");
    match registrar.check(proof, &user, "REGISTER", call_id) {
        Proof::Missing => {
            let mut response = core.answer(request, 401, None, Some(&new_tag()));
            response.headers.push("WWW-Authenticate", registrar.challenge(call_id, proof.is_some()));
            response
        }
        Proof::Wrong => {
            info!(peer.addr = %flow.peer, "sip_register_refused");
            core.tried(flow.peer.ip(), false);
            core.answer(request, 403, Some("Wrong User Or Password"), Some(&new_tag()))
        }
        Proof::Right(key) => {
            core.tried(flow.peer.ip(), true);
            enter(core, request, &user, &key, flow)
        }
    }
}

fn enter(core: &Core, request: &Request, user: &str, key: &str, flow: &Flow) -> Response {
    let entered = Register::read(request)
        .and_then(|register| core.registrar.locations.lock().enter(user, register, flow, Instant::now()));
    let refuse = |code, words| core.answer(request, code, words, Some(&new_tag()));
    match entered {
        Ok(()) => accepted(core, request, key),
        Err(Unfit::Malformed(words)) => refuse(400, Some(words)),
        Err(Unfit::OutOfOrder) => refuse(500, Some("Older Than The Last One")),
        Err(Unfit::TooBrief) => {
            let mut response = refuse(423, Some("Interval Too Brief"));
            response.headers.push("Min-Expires", SHORTEST.as_secs().to_string());
            response
        }
    }
}

fn accepted(core: &Core, request: &Request, key: &str) -> Response {
    let contacts = core.registrar.contacts(key);
    debug!(account = key, contacts = contacts.len(), "sip_phone_registered");
    let mut response = core.answer(request, 200, None, Some(&new_tag()));
    for contact in contacts {
        response.headers.push("Contact", format!("<{}>;expires={}", contact.uri, contact.expires_in.as_secs()));
    }
    response
}

/// Two line ends now and then (RFC 5626 section 4.4.1) keep a NAT's way to a phone on UDP open.
pub(crate) async fn keep_alive(core: Arc<Core>) {
    let mut tick = tokio::time::interval(KEEP_ALIVE);
    loop {
        tick.tick().await;
        let ways: Vec<Flow> = {
            let locations = core.registrar.locations.lock();
            let all = locations.all(Instant::now()).map(|binding| binding.flow.clone());
            all.filter(|flow| flow.transport() == Transport::Udp).collect()
        };
        for flow in ways {
            if let Err(error) = flow.send(b"\r\n\r\n").await {
                debug!(%error, peer.addr = %flow.peer, "sip_keep_alive_not_sent");
            }
        }
    }
}
