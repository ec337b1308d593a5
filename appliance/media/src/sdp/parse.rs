//! What did the other side write? (RFC 8866)
//!
//! Lenient where phones are sloppy (bare line feeds, unknown lines and attributes), strict where a
//! guess could send audio to the wrong place.

use super::description::Address;
use super::{Crypto, Direction, Format, MediaDescription, NOISE, Origin, SdpError, SessionDescription, Setup};
use crate::codec::PhoneCodec;
use crate::dtls::Fingerprint;
use crate::ice::Credentials;

/// No phone writes more than this.
const LONGEST: usize = 64 * 1024;
const MOST_MEDIA: usize = 32;
const MOST_FORMATS: usize = 128;
const MOST_CRYPTO: usize = 32;

impl SessionDescription {
    /// Reads a body of type `application/sdp`.
    pub fn parse(body: &[u8]) -> Result<SessionDescription, SdpError> {
        if body.len() > LONGEST {
            return Err(SdpError::TooLong);
        }
        let text = String::from_utf8_lossy(body);
        let mut draft = Draft::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_end();
            if !line.is_empty() {
                draft.line(line, number).ok_or(SdpError::Line { line: number + 1 })?;
            }
        }
        draft.finish()
    }
}

#[derive(Default)]
struct Draft {
    origin: Option<Origin>,
    connection: Option<Address>,
    direction: Option<Direction>,
    fingerprint: Option<Fingerprint>,
    setup: Option<Setup>,
    ice: Option<Credentials>,
    bundle: Vec<String>,
    media: Vec<MediaDescription>,
}

impl Draft {
    /// Takes one line; none when it is malformed.
    fn line(&mut self, line: &str, number: usize) -> Option<()> {
        let (kind, value) = line.split_once('=')?;
        match kind {
            "v" => (number == 0 && value == "0").then_some(())?,
            _ if number == 0 => return None,
            "o" => self.origin = Some(origin(value)?),
            "c" => *self.connection_slot() = Some(address(value)?),
            "m" if self.media.len() < MOST_MEDIA => self.media.push(media(value)?),
            "m" => return None,
            "a" => self.attribute(value)?,
            "b" => self.bandwidth(value),
            _ => (kind.len() == 1).then_some(())?,
        }
        Some(())
    }

    fn connection_slot(&mut self) -> &mut Option<Address> {
        match self.media.last_mut() {
            Some(media) => &mut media.connection,
            None => &mut self.connection,
        }
    }

    fn attribute(&mut self, value: &str) -> Option<()> {
        let (name, value) = value.split_once(':').unwrap_or((value, ""));
        if let Some(direction) = Direction::named(name) {
            match self.media.last_mut() {
                Some(media) => media.direction = Some(direction),
                None => self.direction = Some(direction),
            }
            return Some(());
        }
        match (name, self.media.last_mut()) {
            ("fingerprint", Some(media)) => media.fingerprint = media.fingerprint.or(Fingerprint::parse(value)),
            ("fingerprint", None) => self.fingerprint = self.fingerprint.or(Fingerprint::parse(value)),
            ("setup", Some(media)) => media.setup = Setup::named(value),
            ("setup", None) => self.setup = Setup::named(value),
            ("ice-ufrag" | "ice-pwd", _) => self.ice(name, value.trim()),
            ("group", None) => self.bundle.extend(bundled(value)),
            ("mid", Some(media)) => media.mid = Some(value.trim()).filter(is_token).map(str::to_owned),
            ("rtpmap", Some(media)) => map_format(media, value)?,
            ("crypto", Some(media)) if media.crypto.len() < MOST_CRYPTO => media.crypto.extend(Crypto::parse(value)),
            ("ptime", Some(media)) => media.ptime = value.trim().parse().ok(),
            ("maxptime", Some(media)) => media.maxptime = value.trim().parse().ok(),
            ("rtcp", Some(media)) => media.rtcp = rtcp(value),
            ("rtcp-mux", Some(media)) => media.rtcp_mux = true,
            _ => {}
        }
        Some(())
    }

    /// Either half may come first.
    fn ice(&mut self, name: &str, value: &str) {
        let slot = self.media.last_mut().map_or(&mut self.ice, |media| &mut media.ice);
        let half = slot.get_or_insert_with(|| Credentials { ufrag: String::new(), pwd: String::new() });
        match name {
            "ice-ufrag" => half.ufrag = value.to_owned(),
            _ => half.pwd = value.to_owned(),
        }
    }

    fn bandwidth(&mut self, value: &str) {
        let Some(media) = self.media.last_mut() else { return };
        match value.trim() {
            "RS:0" => media.no_rtcp[0] = true,
            "RR:0" => media.no_rtcp[1] = true,
            _ => {}
        }
    }

    fn finish(mut self) -> Result<SessionDescription, SdpError> {
        let origin = self.origin.ok_or(SdpError::Incomplete)?;
        if self.media.is_empty() {
            return Err(SdpError::Incomplete);
        }
        for media in &mut self.media {
            media.fingerprint = media.fingerprint.or(self.fingerprint);
            media.setup = media.setup.or(self.setup);
            let whole = |ice: &Credentials| !ice.ufrag.is_empty() && !ice.pwd.is_empty();
            media.ice = media.ice.take().or(self.ice.clone()).filter(whole);
        }
        let Draft { connection, direction, bundle, media, .. } = self;
        Ok(SessionDescription { origin, connection, direction, bundle, media })
    }
}

/// `<username> <sess-id> <sess-version> IN IP4 <address>`; ids that are no numbers count as 0.
fn origin(value: &str) -> Option<Origin> {
    let mut words = value.split_ascii_whitespace();
    let origin = Origin {
        username: words.next()?.to_owned(),
        session_id: words.next()?.parse().unwrap_or(0),
        version: words.next()?.parse().unwrap_or(0),
    };
    (words.count() == 3).then_some(origin)
}

/// `IN IP4 192.0.2.1`, perhaps with a multicast suffix that we cut off.
fn address(value: &str) -> Option<Address> {
    let mut words = value.split_ascii_whitespace();
    let (network, family, address) = (words.next()?, words.next()?, words.next()?);
    if network != "IN" || !matches!(family, "IP4" | "IP6") {
        return None;
    }
    let address = address.split('/').next()?;
    Some(match address.parse() {
        Ok(ip) => Address::Ip(ip),
        Err(_) => Address::Name(address.to_owned()),
    })
}

/// `audio 49170 RTP/AVP 0 8 101`
fn media(value: &str) -> Option<MediaDescription> {
    let mut words = value.split_ascii_whitespace();
    let kind = words.next()?.to_owned();
    let port = words.next()?.split('/').next()?.parse().ok()?;
    let protocol = words.next()?.to_owned();
    let formats: Vec<Format> = words.take(MOST_FORMATS).map(format).collect();
    let direction = None;
    (!formats.is_empty()).then_some(MediaDescription {
        kind,
        port,
        protocol,
        formats,
        connection: None,
        direction,
        ptime: None,
        maxptime: None,
        crypto: Vec::new(),
        fingerprint: None,
        setup: None,
        ice: None,
        mid: None,
        rtcp: None,
        rtcp_mux: false,
        no_rtcp: [false; 2],
    })
}

fn is_token(text: &&str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// `BUNDLE 0 1`; other groups do not concern us.
fn bundled(value: &str) -> impl Iterator<Item = String> {
    let names = value.trim().strip_prefix("BUNDLE ").unwrap_or_default();
    names.split_ascii_whitespace().take(MOST_MEDIA).map(str::to_owned)
}

/// `53020`, or `53020 IN IP4 192.0.2.1`; as good as not there when it is neither.
fn rtcp(value: &str) -> Option<(u16, Option<Address>)> {
    let (port, rest) = value.split_once(' ').unwrap_or((value, ""));
    let elsewhere = if rest.trim().is_empty() { None } else { Some(address(rest)?) };
    Some((port.trim().parse().ok()?, elsewhere))
}

/// Static payload types need no `a=rtpmap`.
fn format(token: &str) -> Format {
    let name = match token.parse() {
        Ok(NOISE) => Some("CN"),
        Ok(payload_type) => PhoneCodec::of_payload_type(payload_type).map(PhoneCodec::name),
        Err(_) => None,
    };
    Format { token: token.to_owned(), map: name.map(|name| (name.to_owned(), 8000)) }
}

/// `101 telephone-event/8000`; a map for a format that is not in the `m=` line is ignored.
fn map_format(media: &mut MediaDescription, value: &str) -> Option<()> {
    let (token, map) = value.split_once(' ')?;
    let mut parts = map.trim().split('/');
    let (encoding, rate) = (parts.next()?, parts.next()?.trim().parse().ok()?);
    if let Some(format) = media.formats.iter_mut().find(|format| format.token == token) {
        format.map = Some((encoding.to_owned(), rate));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PHONE: &str = "v=0\r\no=- 1 7 IN IP4 192.0.2.4\r\ns=-\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
        a=fmtp:101 0-15\r\na=ptime:20\r\na=sendonly\r\n";

    #[test]
    fn a_phones_offer_is_read() {
        let sdp = SessionDescription::parse(PHONE.as_bytes()).unwrap();
        let audio = &sdp.media[0];
        assert_eq!((sdp.origin.version, audio.port, audio.ptime), (7, 4000, Some(20)));
        assert!(audio.formats[0].is("pcmu", 1) && audio.formats[1].is("telephone-event", 1));
        assert_eq!(sdp.direction_of(audio), Direction::SendOnly);
        assert_eq!(sdp.address_of(audio), Some("192.0.2.4".parse().unwrap()));
    }

    #[test]
    fn a_media_address_and_direction_outrank_those_of_the_session() {
        let text = PHONE.replace("t=0 0", "t=0 0\na=inactive").replace("a=ptime", "c=IN IP6 2001:db8::1\na=ptime");
        let sdp = SessionDescription::parse(text.as_bytes()).unwrap();
        assert_eq!(sdp.address_of(&sdp.media[0]), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(sdp.direction_of(&sdp.media[0]), Direction::SendOnly);
        let without = text.replace("a=sendonly\r\n", "");
        let sdp = SessionDescription::parse(without.as_bytes()).unwrap();
        assert_eq!(sdp.direction_of(&sdp.media[0]), Direction::Inactive);
    }

    #[test]
    fn rtcp_goes_to_the_port_above_unless_the_phone_says_otherwise() {
        let to = |lines: &str| {
            let sdp = SessionDescription::parse(format!("{PHONE}{lines}").as_bytes()).unwrap();
            sdp.rtcp_of(&sdp.media[0]).map(|at| at.to_string()).unwrap_or_default()
        };
        for (lines, address) in [
            ("", "192.0.2.4:4001"),
            ("a=rtcp:5000\r\n", "192.0.2.4:5000"),
            ("a=rtcp:5000 IN IP6 2001:db8::1\r\n", "[2001:db8::1]:5000"),
            ("a=rtcp:many\r\n", "192.0.2.4:4001"),
            ("a=rtcp:0\r\n", ""),
            ("a=rtcp:5000 IN IP4 phone.example\r\n", ""),
            ("a=rtcp:5000 IN IP4 224.0.0.1\r\n", ""),
            ("b=RR:0\r\n", "192.0.2.4:4001"),
            ("b=RS:0\r\nb=RR:0\r\n", ""),
        ] {
            assert_eq!(to(lines), address, "{lines}");
        }
        let last = SessionDescription::parse(PHONE.replace("4000", "65535").as_bytes()).unwrap();
        assert_eq!(last.rtcp_of(&last.media[0]), None);
    }

    #[test]
    fn who_shakes_hands_stands_in_the_session_or_in_the_media_which_outranks_it() {
        let hash = |octet: &str| format!("sha-256 {}", vec![octet; 32].join(":"));
        let of = |text: String| SessionDescription::parse(text.as_bytes()).unwrap().media.remove(0);
        let session = PHONE.replace("t=0 0", &format!("t=0 0\na=fingerprint:{}\na=setup:actpass", hash("AA")));
        let media = of(session.clone());
        assert_eq!((media.fingerprint, media.setup), (Fingerprint::parse(&hash("AA")), Some(Setup::ActPass)));
        let own = format!("{session}a=fingerprint:sha-1 00\na=fingerprint:{}\na=setup:active\n", hash("BB"));
        let media = of(own);
        assert_eq!((media.fingerprint, media.setup), (Fingerprint::parse(&hash("BB")), Some(Setup::Active)));
        let neither = of(PHONE.to_owned());
        assert_eq!((neither.fingerprint, neither.setup), (None, None));
    }

    #[test]
    fn what_a_browser_says_of_its_ways_is_read_from_the_session_or_the_media() {
        let of = |text: String| SessionDescription::parse(text.as_bytes()).unwrap();
        let named = |ufrag: &str, pwd: &str| Some(Credentials { ufrag: ufrag.to_owned(), pwd: pwd.to_owned() });
        let session = PHONE.replace("t=0 0", "t=0 0\na=group:BUNDLE a v\na=group:LS x\na=ice-pwd:p1\na=ice-ufrag:u1");
        let read = of(format!("{session}a=mid:a\r\n"));
        assert_eq!((&read.media[0].ice, read.media[0].mid.as_deref()), (&named("u1", "p1"), Some("a")));
        assert_eq!(read.bundle, ["a", "v"]);
        assert_eq!(of(format!("{session}a=ice-ufrag:u2\r\na=ice-pwd:p2\r\n")).media[0].ice, named("u2", "p2"));
        assert_eq!(of(format!("{PHONE}a=ice-ufrag:u2\r\n")).media[0].ice, None, "half of it");
    }

    #[test]
    fn bodies_that_are_not_descriptions_are_refused() {
        for body in
            ["", "hello", "v=1\r\no=- 1 1 IN IP4 1.2.3.4\r\nm=audio 1 RTP/AVP 0", "o=- 1 1 IN IP4 1.2.3.4\r\nv=0"]
        {
            assert!(SessionDescription::parse(body.as_bytes()).is_err(), "{body}");
        }
        for (good, bad) in
            [("IP4 192.0.2.4\r\nt", "IPX 192.0.2.4\r\nt"), ("audio 4000", "audio 99999"), (" RTP/AVP 0 101", "")]
        {
            assert!(SessionDescription::parse(PHONE.replace(good, bad).as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(SessionDescription::parse(&vec![b'v'; 70_000]), Err(SdpError::TooLong));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = SessionDescription::parse(&body);
        }

        #[test]
        fn no_change_of_a_real_offer_makes_the_parser_panic(at in 0..PHONE.len(), byte in any::<u8>(), cut in 0..PHONE.len()) {
            let mut body = PHONE.as_bytes().to_vec();
            body[at] = byte;
            let _ = SessionDescription::parse(&body);
            let _ = SessionDescription::parse(&body[..cut]);
        }
    }
}
