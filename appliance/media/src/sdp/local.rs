//! What can our side do, and what does it share with theirs?

use super::{Crypto, MediaDescription, SdpError, Setup};
use crate::codec::PhoneCodec;
use crate::cover::Secrecy;
use crate::dtls::{Fingerprint, Peer};
use crate::ice::Credentials;
use crate::srtp::{Key, Keys, Suite};
use std::net::SocketAddr;

/// Our side of a leg's audio.
#[derive(Clone, Debug)]
pub struct LocalMedia {
    /// Where we receive RTP, as the other side shall see it.
    pub address: SocketAddr,
    /// What we speak, best first.
    pub codecs: Vec<PhoneCodec>,
    pub encryption: Encryption,
    /// Of our certificate, where encryption may come by a handshake, too. Only phones in browsers are offered one.
    pub fingerprint: Option<Fingerprint>,
    /// Makes up what we are known by in ICE, which phones in browsers want; without it they cannot be talked to.
    pub ice: Option<fn() -> Credentials>,
}

/// May the audio be encrypted, must it, and with which keys of ours?
#[derive(Clone, Debug, Default)]
pub enum Encryption {
    #[default]
    Off,
    /// If the other side can.
    Allowed(Vec<Key>),
    Required(Vec<Key>),
}

impl Encryption {
    /// One key for every suite, with `fill` to make them up.
    pub fn keys(mut fill: impl FnMut(&mut [u8])) -> Vec<Key> {
        let key = |suite: Suite| {
            let mut secret = vec![0; suite.secret_length()];
            fill(&mut secret);
            Key::new(suite, secret)
        };
        Suite::ALL.into_iter().filter_map(key).collect()
    }

    fn ours(&self) -> &[Key] {
        match self {
            Encryption::Off => &[],
            Encryption::Allowed(keys) | Encryption::Required(keys) => keys,
        }
    }

    pub(super) fn is_required(&self) -> bool {
        matches!(self, Encryption::Required(_))
    }

    /// What we offer: a line for each of our keys.
    pub(super) fn lines(&self) -> Vec<Crypto> {
        (1..).zip(self.ours()).map(|(tag, key)| Crypto { tag, key: key.clone() }).collect()
    }

    /// The other side's first key that we have one for, with ours.
    fn common(&self, theirs: &[Crypto]) -> Option<(u32, Keys)> {
        theirs.iter().find_map(|line| {
            let ours = self.ours().iter().find(|key| key.suite() == line.key.suite())?;
            Some((line.tag, Keys { ours: ours.clone(), theirs: line.key.clone() }))
        })
    }
}

/// How audio is encrypted, with the tag of the `a=crypto` line that was chosen.
pub(super) type Common = (Option<u32>, Secrecy);

impl LocalMedia {
    /// What `media` and we share; an error when there must be something and there is nothing. `proposed`: we offered a
    /// handshake, to whoever wants one.
    pub(super) fn secrecy(&self, media: &MediaDescription, proposed: bool) -> Result<Option<Common>, SdpError> {
        let told = self.encryption.common(&media.crypto).filter(|_| !media.is_by_handshake());
        let told = told.map(|(tag, keys)| (Some(tag), Secrecy::Told(keys)));
        match told.or_else(|| Some((None, Secrecy::Handshake(self.peer(media, proposed)?)))) {
            None if self.encryption.is_required() || media.is_secured() => Err(SdpError::NotEncrypted),
            common => Ok(common),
        }
    }

    /// Whom to shake hands with: only who would have nothing else, for not everybody can ([`crate::dtls`]). A phone
    /// behind a NAT can reach us and not the other way round, so it begins where that is left to us.
    fn peer(&self, media: &MediaDescription, proposed: bool) -> Option<Peer> {
        let allowed = proposed || !matches!(self.encryption, Encryption::Off);
        let wanted = media.is_secured() && self.fingerprint.is_some() && allowed;
        wanted.then_some(Peer { fingerprint: media.fingerprint?, we_begin: media.setup? == Setup::Passive })
    }

    /// With [`PhoneCodec::ALL`], in the clear.
    pub fn new(address: SocketAddr) -> LocalMedia {
        LocalMedia {
            address,
            codecs: PhoneCodec::ALL.to_vec(),
            encryption: Encryption::Off,
            fingerprint: None,
            ice: None,
        }
    }
}
