//! Where is a phone to be found?
//!
//! The location service of RFC 3261 section 10.3: an account has contacts, each until it expires. A
//! REGISTER is read by [`Register::read`] and entered by [`Locations::enter`]; what cannot be entered
//! changes nothing. Pure: the time is an argument, and a way back to the phone is any `F`.
//!
//! Who may register is decided before, in [`crate::registrar`].

use crate::header::{NameAddr, cseq, list};
use crate::message::Request;
use crate::uri::SipUri;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What a phone gets that names no time, and the longest and shortest there are.
const USUAL: Duration = Duration::from_secs(600);
const LONGEST: Duration = Duration::from_secs(3600);
pub(crate) const SHORTEST: Duration = Duration::from_secs(60);
/// So many phones may share an account; one more takes the place of the one that was not heard of longest.
const MOST: usize = 8;

/// A contact and how to reach it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Binding<F> {
    pub uri: String,
    pub flow: F,
    pub user_agent: Option<String>,
    pub expires_at: Instant,
    key: Key,
    call_id: String,
    cseq: u32,
}

/// What makes two contacts the same one: the phone's own id (RFC 5626 section 4.1), or its address.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Instance { id: String, reg_id: String },
    Address { user: String, host: String, port: Option<u16>, transport: String },
}

/// What a REGISTER asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Register {
    call_id: String,
    cseq: u32,
    user_agent: Option<String>,
    wish: Wish,
}

#[derive(Debug, Clone, PartialEq)]
enum Wish {
    /// Only to know what is there.
    Tell,
    /// `Contact: *` with `Expires: 0`.
    RemoveAll,
    Change(Vec<Change>),
}

#[derive(Debug, Clone, PartialEq)]
struct Change {
    uri: String,
    key: Key,
    /// Zero removes.
    lifetime: Duration,
}

/// Why a REGISTER is not entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    Malformed(&'static str),
    /// Asks for less than [`SHORTEST`].
    TooBrief,
    /// Older than what this phone said last.
    OutOfOrder,
}

impl Register {
    pub fn read(request: &Request) -> Result<Register, Unfit> {
        let (cseq, _) = request.headers.first("CSeq").and_then(cseq).ok_or(Unfit::Malformed("CSeq is not readable"))?;
        Ok(Register {
            call_id: request.headers.first("Call-ID").unwrap_or_default().to_owned(),
            cseq,
            user_agent: request.headers.first("User-Agent").map(str::to_owned),
            wish: Wish::read(request)?,
        })
    }
}

impl Wish {
    fn read(request: &Request) -> Result<Wish, Unfit> {
        let contacts = list(request.headers.all("Contact"));
        let expires = request.headers.first("Expires").map(seconds).transpose()?;
        if contacts.iter().any(|contact| contact == "*") {
            let alone = contacts.len() == 1 && expires == Some(Duration::ZERO);
            return if alone {
                Ok(Wish::RemoveAll)
            } else {
                Err(Unfit::Malformed("Contact * stands alone, with Expires 0"))
            };
        }
        if contacts.is_empty() {
            return Ok(Wish::Tell);
        }
        let changes: Result<_, _> = contacts.iter().map(|contact| Change::read(contact, expires)).collect();
        Ok(Wish::Change(changes?))
    }
}

impl Change {
    fn read(contact: &str, expires: Option<Duration>) -> Result<Change, Unfit> {
        let unreadable = Unfit::Malformed("Contact is not a SIP address");
        let address = NameAddr::parse(contact).ok_or(unreadable)?;
        let uri = SipUri::parse(&address.uri).filter(|uri| !uri.host.is_empty()).ok_or(unreadable)?;
        let own = address.param("expires").map(seconds).transpose()?;
        let lifetime = own.or(expires).unwrap_or(USUAL).min(LONGEST);
        if lifetime > Duration::ZERO && lifetime < SHORTEST {
            return Err(Unfit::TooBrief);
        }
        Ok(Change { key: Key::of(&address, &uri), uri: address.uri, lifetime })
    }
}

impl Key {
    fn of(address: &NameAddr, uri: &SipUri) -> Key {
        if let Some(id) = address.param("+sip.instance") {
            let reg_id = address.param("reg-id").unwrap_or_default().to_owned();
            return Key::Instance { id: id.to_owned(), reg_id };
        }
        Key::Address {
            user: uri.user.clone(),
            host: uri.host.to_ascii_lowercase(),
            port: uri.port,
            transport: uri.param("transport").unwrap_or_default().to_ascii_lowercase(),
        }
    }
}

fn seconds(text: &str) -> Result<Duration, Unfit> {
    let seconds: u32 = text.trim().parse().map_err(|_| Unfit::Malformed("Expires is not a number of seconds"))?;
    Ok(Duration::from_secs(seconds.into()))
}

/// The contacts of all accounts.
#[derive(Debug)]
pub(crate) struct Locations<F>(HashMap<String, Vec<Binding<F>>>);

impl<F> Default for Locations<F> {
    fn default() -> Self {
        Locations(HashMap::new())
    }
}

impl<F: Clone> Locations<F> {
    /// All or nothing. `flow` is the way that the REGISTER came.
    pub fn enter(&mut self, account: &str, register: Register, flow: &F, now: Instant) -> Result<(), Unfit> {
        let known = self.0.entry(account.to_owned()).or_default();
        known.retain(|binding| binding.expires_at > now);
        let older = |binding: &Binding<F>| binding.call_id == register.call_id && binding.cseq >= register.cseq;
        match register.wish {
            Wish::Tell => {}
            Wish::RemoveAll if known.iter().any(older) => return Err(Unfit::OutOfOrder),
            Wish::RemoveAll => known.clear(),
            Wish::Change(ref changes) => {
                let touched = |binding: &&Binding<F>| changes.iter().any(|change| change.key == binding.key);
                if known.iter().filter(touched).any(older) {
                    return Err(Unfit::OutOfOrder);
                }
                changes.iter().for_each(|change| apply(known, change, &register, flow, now));
            }
        }
        if known.is_empty() {
            self.0.remove(account);
        }
        Ok(())
    }

    /// The last one heard of first.
    pub fn of(&self, account: &str, now: Instant) -> Vec<&Binding<F>> {
        let all = self.0.get(account).into_iter().flatten();
        let mut found: Vec<_> = all.filter(|binding| binding.expires_at > now).collect();
        found.reverse();
        found
    }

    pub fn all(&self, now: Instant) -> impl Iterator<Item = &Binding<F>> {
        self.0.values().flatten().filter(move |binding| binding.expires_at > now)
    }

    /// Forgets the accounts and the ways that do not hold any more.
    pub fn retain(&mut self, account: impl Fn(&str) -> bool, holds: impl Fn(&Binding<F>) -> bool) {
        self.0.retain(|name, bindings| {
            bindings.retain(&holds);
            account(name) && !bindings.is_empty()
        });
    }
}

fn apply<F: Clone>(known: &mut Vec<Binding<F>>, change: &Change, register: &Register, flow: &F, now: Instant) {
    known.retain(|binding| binding.key != change.key);
    if change.lifetime.is_zero() {
        return;
    }
    if known.len() == MOST {
        known.remove(0);
    }
    known.push(Binding {
        uri: change.uri.clone(),
        flow: flow.clone(),
        user_agent: register.user_agent.clone(),
        expires_at: now + change.lifetime,
        key: change.key.clone(),
        call_id: register.call_id.clone(),
        cseq: register.cseq,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Headers;

    fn register(cseq: u32, headers: &[(&str, &str)]) -> Result<Register, Unfit> {
        let mut all = Headers::default();
        all.push("Call-ID", "c");
        all.push("CSeq", format!("{cseq} REGISTER"));
        headers.iter().for_each(|(name, value)| all.push(name, value.to_string()));
        Register::read(&Request { method: "REGISTER".into(), uri: "sip:box".into(), headers: all, body: vec![] })
    }

    struct Phones {
        locations: Locations<u8>,
        now: Instant,
    }

    impl Phones {
        fn new() -> Self {
            Phones { locations: Locations::default(), now: Instant::now() }
        }

        fn enter(&mut self, cseq: u32, headers: &[(&str, &str)]) -> Result<(), Unfit> {
            self.locations.enter("100", register(cseq, headers)?, &1, self.now)
        }

        fn uris(&self) -> Vec<&str> {
            self.locations.of("100", self.now).into_iter().map(|binding| binding.uri.as_str()).collect()
        }
    }

    #[test]
    fn a_contact_is_there_until_it_expires_or_leaves() {
        let mut phones = Phones::new();
        phones.enter(1, &[("Contact", "<sip:a@10.0.0.7:5070>;expires=120")]).unwrap();
        phones.enter(2, &[("Contact", "<sip:a@10.0.0.8>"), ("Expires", "60")]).unwrap();
        assert_eq!(phones.uris(), ["sip:a@10.0.0.8", "sip:a@10.0.0.7:5070"]);
        phones.now += Duration::from_secs(61);
        assert_eq!(phones.uris(), ["sip:a@10.0.0.7:5070"]);
        phones.enter(3, &[("Contact", "<sip:a@10.0.0.7:5070>;expires=0")]).unwrap();
        assert!(phones.uris().is_empty());
    }

    #[test]
    fn a_phone_with_an_id_of_its_own_moves_without_leaving_a_ghost() {
        let mut phones = Phones::new();
        let at = |place: &str| format!("<sip:a@{place}>;+sip.instance=\"<urn:uuid:1>\"");
        phones.enter(1, &[("Contact", &at("10.0.0.7"))]).unwrap();
        phones.enter(2, &[("Contact", &at("10.0.0.9"))]).unwrap();
        assert_eq!(phones.uris(), ["sip:a@10.0.0.9"]);
    }

    #[test]
    fn the_same_address_in_another_spelling_is_the_same_contact() {
        let mut phones = Phones::new();
        phones.enter(1, &[("Contact", "<sip:a@Phone.lan;transport=TCP>")]).unwrap();
        phones.enter(2, &[("Contact", "<sip:a@phone.lan;transport=tcp>;expires=90")]).unwrap();
        assert_eq!(phones.uris().len(), 1);
    }

    #[test]
    fn a_star_removes_everything_and_only_with_expires_0() {
        let mut phones = Phones::new();
        phones.enter(1, &[("Contact", "<sip:a@10.0.0.7>")]).unwrap();
        let alone = Unfit::Malformed("Contact * stands alone, with Expires 0");
        assert_eq!(phones.enter(2, &[("Contact", "*"), ("Expires", "60")]), Err(alone));
        assert_eq!(phones.enter(2, &[("Contact", "*, <sip:b@h>"), ("Expires", "0")]), Err(alone));
        assert_eq!(phones.uris().len(), 1);
        phones.enter(2, &[("Contact", "*"), ("Expires", "0")]).unwrap();
        assert!(phones.uris().is_empty());
    }

    #[test]
    fn what_is_older_than_the_last_word_changes_nothing() {
        let mut phones = Phones::new();
        phones.enter(5, &[("Contact", "<sip:a@10.0.0.7>")]).unwrap();
        assert_eq!(phones.enter(4, &[("Contact", "<sip:a@10.0.0.7>;expires=0")]), Err(Unfit::OutOfOrder));
        assert_eq!(phones.enter(5, &[("Contact", "*"), ("Expires", "0")]), Err(Unfit::OutOfOrder));
        assert_eq!(phones.uris().len(), 1);
    }

    #[test]
    fn one_unfit_contact_spoils_the_whole_request() {
        let mut phones = Phones::new();
        let fine = ("Contact", "<sip:a@10.0.0.7>");
        assert_eq!(phones.enter(1, &[fine, ("Contact", "<sip:b@h>;expires=30")]), Err(Unfit::TooBrief));
        assert!(matches!(phones.enter(1, &[fine, ("Contact", "<tel:+31>")]), Err(Unfit::Malformed(_))));
        assert!(matches!(phones.enter(1, &[fine, ("Expires", "soon")]), Err(Unfit::Malformed(_))));
        assert!(phones.uris().is_empty());
    }

    #[test]
    fn a_request_without_a_contact_only_asks() {
        let mut phones = Phones::new();
        phones.enter(1, &[("Contact", "<sip:a@10.0.0.7>")]).unwrap();
        phones.enter(1, &[]).unwrap();
        assert_eq!(phones.uris().len(), 1);
    }

    #[test]
    fn a_ninth_phone_takes_the_place_of_the_first() {
        let mut phones = Phones::new();
        for number in 1..=9 {
            phones.enter(number, &[("Contact", &format!("<sip:a@10.0.0.{number}>"))]).unwrap();
        }
        assert_eq!(phones.uris().len(), MOST);
        assert!(!phones.uris().contains(&"sip:a@10.0.0.1"));
    }
}
