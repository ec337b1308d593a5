use super::*;
use livekit::{PublishTrack, RoomCodec};
use media::codec::PhoneCodec;
use media::cover::{Cover, Secrecy};
use media::dtls::{Handshake, Identity, Peer, is_dtls};
use media::dtmf::{Event, Keys};
use media::rtcp::{Block, Compound, Outgoing, Part};
use media::rtp::{Header, Packet};
use media::sdp::{EventFormat, RtcpPath};
use media::srtp;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Instant;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

static IDENTITY: LazyLock<Identity> = LazyLock::new(|| Identity::generate().unwrap());
static CERTIFICATE: LazyLock<Certificate> = LazyLock::new(|| Certificate::generate().unwrap());

/// A phone with a real socket, at a leg whose room is never reached.
struct Phone {
    socket: UdpSocket,
    /// Its reports come from here and go to here.
    reports: UdpSocket,
    gateway: SocketAddr,
    gateway_reports: SocketAddr,
    leg: Option<LegHandle>,
    events: UnboundedReceiver<LegMediaEvent>,
    sequence: u16,
    _pool: MediaPool,
}

fn loopback() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

fn sockets() -> PhoneSockets {
    PhoneSockets { rtp: loopback(), rtcp: loopback() }
}

fn options() -> JoinOptions {
    JoinOptions {
        url: "ws://127.0.0.1:1".into(),
        token: "none".into(),
        attributes: HashMap::new(),
        publish: Some(PublishTrack { name: "phone".into(), codec_preference: vec![livekit::AudioCodec::Pcmu] }),
        room_codec: RoomCodec::Auto,
        subscribe_audio: true,
        client_name: "test".into(),
    }
}

impl Phone {
    fn new(timeouts: MediaTimeouts) -> Phone {
        Phone::at(Some(options()), timeouts)
    }

    fn at(options: Option<JoinOptions>, timeouts: MediaTimeouts) -> Phone {
        let (pool, socket, reports, ours) = (MediaPool::start(1), loopback(), loopback(), sockets());
        for socket in [&socket, &reports] {
            socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        }
        let (gateway, gateway_reports) = (ours.rtp.local_addr().unwrap(), ours.rtcp.local_addr().unwrap());
        let (report, events) = unbounded_channel();
        let leg = pool.add(NewLeg {
            phone: ours,
            room_socket: loopback(),
            options,
            certificate: CERTIFICATE.clone(),
            identity: IDENTITY.clone(),
            timeouts,
            source: SourcePolicy::default(),
            events: report,
        });
        Phone { socket, reports, gateway, gateway_reports, leg: Some(leg), events, sequence: 0, _pool: pool }
    }

    fn answered(timeouts: MediaTimeouts) -> Phone {
        let phone = Phone::new(timeouts);
        phone.leg().negotiated(phone.agreed());
        phone
    }

    fn leg(&self) -> &LegHandle {
        self.leg.as_ref().unwrap()
    }

    fn agreed(&self) -> Negotiated {
        Negotiated {
            codec: PhoneCodec::PCMU,
            payload_type: 0,
            receives: vec![(0, PhoneCodec::PCMU)],
            dtmf: vec![EventFormat { payload_type: 101, clock_factor: 1 }],
            noise_payload_type: None,
            srtp: None,
            remote: self.socket.local_addr().unwrap(),
            ice: None,
            rtcp: Some(RtcpPath::Apart(self.reports.local_addr().unwrap())),
            we_send: true,
            we_receive: true,
            we_hold: false,
            ptime_ms: 20,
        }
    }

    fn send(&mut self, payload_type: u8, payload: &[u8]) {
        self.sequence += 1;
        let timestamp = u32::from(self.sequence) * 160;
        let mut packet = Vec::new();
        Header { marker: false, payload_type, sequence: self.sequence, timestamp, ssrc: 3 }.write(payload, &mut packet);
        self.socket.send_to(&packet, self.gateway).unwrap();
    }

    fn receive(&self) -> (Header, Vec<u8>) {
        let mut buffer = [0; 2048];
        let length = self.socket.recv(&mut buffer).unwrap();
        let packet = Packet::parse(&buffer[..length]).unwrap();
        (packet.header, packet.payload.to_vec())
    }

    /// Waits for an event, whatever comes before it.
    fn wait_for<T>(&mut self, wanted: impl Fn(&LegMediaEvent) -> Option<T>) -> T {
        loop {
            let event = self.events.blocking_recv().expect("the leg is gone");
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    }
}

#[test]
fn a_leg_asks_for_its_room_and_says_nothing_to_the_phone_before_the_answer() {
    let mut phone = Phone::new(MediaTimeouts::default());
    phone.wait_for(|event| matches!(event, LegMediaEvent::Connect(connect) if connect.attempt == 1).then_some(()));
    phone.socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(phone.socket.recv(&mut [0; 2048]).is_err());
}

#[test]
fn a_leg_without_a_room_plays_to_the_phone_and_reports_its_keys() {
    let mut phone = Phone::at(None, MediaTimeouts::default());
    phone.leg().negotiated(phone.agreed());
    phone.leg().play(Some(Sound::ringing()));
    while phone.receive().1 == [0xFF; 160] {}
    phone.send(101, &Event { event: 7, end: true, volume: 10, duration: 800 }.to_bytes());
    let key = phone.wait_for(|event| match event {
        LegMediaEvent::PhoneDigit(digit) => Some(*digit),
        LegMediaEvent::Connect(_) => panic!("it has no room"),
        _ => None,
    });
    assert_eq!(key, '7');
    phone.leg().join(options());
    phone.wait_for(|event| matches!(event, LegMediaEvent::Connect(_)).then_some(()));
}

#[test]
fn an_answered_phone_hears_silence_although_the_room_is_away() {
    let phone = Phone::answered(MediaTimeouts::default());
    let heard: Vec<_> = (0..10).map(|_| phone.receive()).collect();
    for pair in heard.windows(2) {
        assert_eq!(pair[1].0.sequence, pair[0].0.sequence.wrapping_add(1));
    }
    assert!(heard.iter().all(|(header, payload)| header.payload_type == 0 && payload == &[0xFF; 160]));
}

#[test]
fn the_first_packet_and_each_key_of_the_phone_are_reported_once() {
    let mut phone = Phone::answered(MediaTimeouts::default());
    phone.receive(); // so it is negotiated
    phone.send(0, &[0xFF; 160]);
    phone.wait_for(|event| matches!(event, LegMediaEvent::FirstRtp).then_some(()));
    for event in [4, 2] {
        phone.send(101, &Event { event, end: true, volume: 10, duration: 800 }.to_bytes());
    }
    let mut key =
        || phone.wait_for(|event| if let LegMediaEvent::PhoneDigit(digit) = event { Some(*digit) } else { None });
    assert_eq!([key(), key()], ['4', '2']);
}

#[test]
fn keys_that_the_room_presses_reach_the_phone() {
    let phone = Phone::answered(MediaTimeouts::default());
    phone.leg().send_digits("4#".into());
    let (mut keys, mut digits) = (Keys::default(), String::new());
    while digits.len() < 2 {
        let (header, payload) = phone.receive();
        if header.payload_type == 101 {
            digits.extend(keys.packet(header.timestamp, &payload));
        }
    }
    assert_eq!(digits, "4#");
}

#[test]
fn it_is_told_when_the_last_key_is_pressed() {
    let mut phone = Phone::answered(MediaTimeouts::default());
    phone.leg().send_digits("4".into());
    phone.wait_for(|event| matches!(event, LegMediaEvent::DigitsPressed).then_some(()));
    phone.socket.set_nonblocking(true).unwrap();
    let mut keys = 0;
    let mut buffer = [0; 2048];
    while let Ok(length) = phone.socket.recv(&mut buffer) {
        keys += u32::from(Packet::parse(&buffer[..length]).unwrap().header.payload_type == 101);
    }
    assert!(keys >= 13, "{keys} packets of a key");
}

#[test]
fn a_phone_that_never_speaks_times_out_and_one_on_hold_does_not() {
    let second = Duration::from_millis(600);
    let mut phone = Phone::answered(MediaTimeouts { first: second, later: second });
    phone.wait_for(|event| matches!(event, LegMediaEvent::MediaTimeout).then_some(()));
    let mut held = Phone::new(MediaTimeouts { first: second, later: second });
    held.leg().negotiated(Negotiated { we_send: false, ..held.agreed() });
    let stats = held.wait_for(|event| match event {
        LegMediaEvent::MediaTimeout => Some(None),
        LegMediaEvent::Stats(stats) => Some(Some(stats.clone())),
        _ => None,
    });
    assert_eq!(stats, Some(LegStats::default()));
}

#[test]
fn a_leg_that_leaves_frees_its_port_before_it_says_so() {
    let mut phone = Phone::answered(MediaTimeouts::default());
    phone.receive();
    phone.send(0, &[0xFF; 160]);
    phone.wait_for(|event| matches!(event, LegMediaEvent::FirstRtp).then_some(()));
    phone.leg().leave(DisconnectReason::ClientInitiated);
    let stats =
        phone.wait_for(|event| if let LegMediaEvent::Stats(stats) = event { Some(stats.clone()) } else { None });
    assert!(stats.packets_in == 1 && stats.packets_out >= 1, "{stats:?}");
    phone.wait_for(|event| matches!(event, LegMediaEvent::Closed).then_some(()));
    UdpSocket::bind(phone.gateway).unwrap();
    UdpSocket::bind(phone.gateway_reports).unwrap();
}

#[test]
fn a_leg_reports_what_it_hears_and_learns_how_it_is_heard() {
    let mut phone = Phone::answered(MediaTimeouts::default());
    let ours = phone.receive().0.ssrc;
    phone.send(0, &[0xFF; 160]);
    phone.sequence += 1; // lost
    phone.send(0, &[0xFF; 160]);
    let mut buffer = [0; 2048];
    let length = phone.reports.recv(&mut buffer).unwrap();
    let compound = Compound::parse(&buffer[..length]).unwrap();
    let Part::Report(report) = &compound.parts[0] else { panic!("{compound:?}") };
    let heard = report.blocks().next().unwrap();
    assert_eq!((report.ssrc, heard.ssrc, heard.lost, heard.fraction_lost), (ours, 3, 1, 85));
    let said = report.sent.unwrap();
    assert!(said.packets > 0 && said.octets == said.packets * 160, "{said:?}");
    let block = Block { ssrc: ours, lost: 2, last_report: (said.ntp >> 16) as u32, ..Block::default() };
    let answer = Outgoing { ssrc: 3, sent: None, block: Some(block), name: "phone", goodbye: false };
    phone.reports.send_to(&answer.to_bytes(), phone.gateway_reports).unwrap();
    let forged = Outgoing { block: Some(Block { lost: 9999, ..block }), ..answer };
    loopback().send_to(&forged.to_bytes(), phone.gateway_reports).unwrap();
    let far_end = phone.wait_for(|event| match event {
        LegMediaEvent::Stats(stats) if stats.rtt_ms.is_some() => Some(stats.far_end.clone()),
        _ => None,
    });
    assert_eq!(far_end.map(|far| far.lost), Some(2));
    phone.leg().leave(DisconnectReason::ClientInitiated);
    let goodbye: Vec<u32> = loop {
        let length = phone.reports.recv(&mut buffer).unwrap();
        let last = Compound::parse(&buffer[..length]).unwrap().parts.pop();
        if let Some(Part::Goodbye(bye)) = last {
            break bye.sources().collect();
        }
    };
    assert_eq!(goodbye, [ours]);
}

/// Until there are keys; nothing but records of the handshake may come before them.
fn shake_hands(phone: &Phone, mut handshake: Handshake) -> srtp::Keys {
    let mut buffer = [0; 2048];
    let mut send = |record: &[u8]| _ = phone.socket.send_to(record, phone.gateway).unwrap();
    handshake.tick(Instant::now(), &mut send).unwrap();
    loop {
        let length = phone.socket.recv(&mut buffer).unwrap();
        assert!(is_dtls(&buffer[..length]), "sound without keys");
        if let Some(keys) = handshake.record(&buffer[..length], Instant::now(), &mut send).unwrap() {
            return keys;
        }
    }
}

#[test]
fn a_leg_speaks_and_hears_only_with_the_keys_that_a_handshake_finds() {
    let mut phone = Phone::new(MediaTimeouts::default());
    let own = Identity::generate().unwrap();
    let ours = Peer { fingerprint: own.fingerprint(), we_begin: false };
    phone.leg().negotiated(Negotiated { srtp: Some(Secrecy::Handshake(ours)), ..phone.agreed() });
    phone.send(0, &[0xFF; 160]); // in the clear: not heard
    let theirs = Peer { fingerprint: IDENTITY.fingerprint(), we_begin: true };
    let keys = shake_hands(&phone, Handshake::new(&own, theirs, Instant::now()));
    let (mut cover, mut buffer) = (Cover::default(), [0; 2048]);
    cover.renew(Some(keys));
    let heard =
        std::iter::repeat_with(|| phone.socket.recv(&mut buffer).map(|length| buffer[..length].to_vec()).unwrap())
            .find_map(|packet| Some(cover.open(&packet)?.as_ref().to_vec()))
            .unwrap();
    assert_eq!(Packet::parse(&heard).unwrap().header.payload_type, 0);
    let mut packet = Vec::new();
    Header { marker: false, payload_type: 0, sequence: 9, timestamp: 1440, ssrc: 3 }.write(&[0xFF; 160], &mut packet);
    let sealed = cover.seal(&packet).unwrap().as_ref().to_vec();
    phone.socket.send_to(&sealed, phone.gateway).unwrap();
    phone.wait_for(|event| matches!(event, LegMediaEvent::FirstRtp).then_some(()));
    phone.leg().leave(DisconnectReason::ClientInitiated);
    let stats =
        phone.wait_for(|event| if let LegMediaEvent::Stats(stats) = event { Some(stats.clone()) } else { None });
    assert_eq!(stats.packets_in, 1, "what came in the clear does not count");
}

#[test]
fn a_phone_with_another_certificate_than_promised_is_not_spoken_to() {
    let mut phone = Phone::new(MediaTimeouts::default());
    let (own, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let promised = Peer { fingerprint: other.fingerprint(), we_begin: false };
    phone.leg().negotiated(Negotiated { srtp: Some(Secrecy::Handshake(promised)), ..phone.agreed() });
    let theirs = Peer { fingerprint: IDENTITY.fingerprint(), we_begin: true };
    shake_hands(&phone, Handshake::new(&own, theirs, Instant::now()));
    phone.wait_for(|event| matches!(event, LegMediaEvent::MediaTimeout).then_some(()));
}

#[test]
fn reports_share_the_port_of_audio_where_that_was_agreed_on() {
    let phone = Phone::new(MediaTimeouts::default());
    phone.leg().negotiated(Negotiated { rtcp: Some(RtcpPath::Muxed), ..phone.agreed() });
    let mut buffer = [0; 2048];
    let report = std::iter::repeat_with(|| {
        phone.socket.recv_from(&mut buffer).map(|(n, from)| (buffer[..n].to_vec(), from)).unwrap()
    })
    .find(|(datagram, _)| media::rtcp::is_rtcp(datagram));
    assert!(report.is_some_and(|(datagram, from)| from == phone.gateway && Compound::parse(&datagram).is_ok()));
}

#[test]
fn a_leg_whose_last_handle_is_dropped_leaves() {
    let mut phone = Phone::answered(MediaTimeouts::default());
    phone.leg = None;
    phone.wait_for(|event| matches!(event, LegMediaEvent::Closed).then_some(()));
}

#[test]
fn a_leg_that_cannot_be_made_says_so_and_ends() {
    let (report, mut events) = unbounded_channel();
    MediaPool::start(1).add(NewLeg {
        phone: sockets(),
        room_socket: UdpSocket::bind("0.0.0.0:0").unwrap(),
        options: Some(options()),
        certificate: CERTIFICATE.clone(),
        identity: IDENTITY.clone(),
        timeouts: MediaTimeouts::default(),
        source: SourcePolicy::default(),
        events: report,
    });
    assert!(matches!(events.blocking_recv(), Some(LegMediaEvent::Room(RoomEvent::Disconnected { .. }))));
    assert!(matches!(events.blocking_recv(), Some(LegMediaEvent::Closed)));
}
