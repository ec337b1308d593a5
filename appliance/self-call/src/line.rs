//! How does sound get to the gateway and back? PCMU in RTP over loopback, in real time.
//!
//! A phone never stops sending: between words it sends silence, and so does [`Speaker`].

use media::{
    codec::{FRAME, FRAME_TIME, Frame, G711},
    rtp::{Header, Packet},
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::{
    net::UdpSocket,
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::MissedTickBehavior,
};

const LAW: G711 = G711::Pcmu;
/// Larger than any packet of a phone.
const LARGEST: usize = 2_048;

/// A socket of our own.
pub struct Line(Arc<UdpSocket>);

impl Line {
    pub async fn open(host: IpAddr) -> io::Result<Self> {
        Ok(Self(Arc::new(UdpSocket::bind((host, 0)).await?)))
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// The sound of the next packet.
    pub async fn hear(&self) -> io::Result<Vec<i16>> {
        let mut datagram = [0; LARGEST];
        loop {
            let (length, _) = self.0.recv_from(&mut datagram).await?;
            let packet = Packet::parse(&datagram[..length]);
            if let Ok(packet) = packet.map(|packet| packet.payload)
                && let sound = decode(packet)
                && !sound.is_empty()
            {
                return Ok(sound);
            }
        }
    }

    /// Begins to send, silence at first.
    pub fn speak_to(&self, peer: SocketAddr) -> Speaker {
        let (words, inbox) = mpsc::unbounded_channel();
        let task = tokio::spawn(talk(self.0.clone(), peer, inbox));
        Speaker { words, task }
    }
}

fn decode(payload: &[u8]) -> Vec<i16> {
    let mut sound = vec![0; payload.len()];
    LAW.decode(payload, &mut sound);
    sound
}

/// Sends until it is dropped.
pub struct Speaker {
    words: mpsc::UnboundedSender<Words>,
    task: JoinHandle<()>,
}

struct Words {
    frames: std::vec::IntoIter<Frame>,
    spoken: oneshot::Sender<()>,
}

impl Speaker {
    /// Plays the samples; returns once the last of them was sent.
    pub async fn say(&self, samples: &[i16]) -> io::Result<()> {
        let (spoken, done) = oneshot::channel();
        let frames = frames(samples).into_iter();
        let broken = || io::Error::other("the sound could not be sent");
        self.words.send(Words { frames, spoken }).map_err(|_| broken())?;
        done.await.map_err(|_| broken())
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The last frame is filled up with silence.
fn frames(samples: &[i16]) -> Vec<Frame> {
    let frame = |part: &[i16]| {
        let mut frame = [0; FRAME];
        frame[..part.len()].copy_from_slice(part);
        frame
    };
    samples.chunks(FRAME).map(frame).collect()
}

async fn talk(socket: Arc<UdpSocket>, peer: SocketAddr, mut inbox: mpsc::UnboundedReceiver<Words>) {
    let mut tick = tokio::time::interval(FRAME_TIME);
    // Late frames follow at once: on a slow machine nothing of the code may be left out.
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut header = first_header();
    let mut words: Option<Words> = None;
    let mut packet = Vec::with_capacity(LARGEST);
    loop {
        tick.tick().await;
        words = words.or_else(|| inbox.try_recv().ok());
        header.write(&encode(&next_frame(&mut words)), &mut packet);
        if socket.send_to(&packet, peer).await.is_err() {
            return; // whoever waits for the words learns it
        }
        header = after(header);
    }
}

/// Silence when there is nothing to say; the last word tells that it was spoken.
fn next_frame(words: &mut Option<Words>) -> Frame {
    let Some(mut speaking) = words.take() else { return [0; FRAME] };
    match speaking.frames.next() {
        Some(frame) => {
            *words = Some(speaking);
            frame
        }
        None => {
            let _ = speaking.spoken.send(());
            [0; FRAME]
        }
    }
}

fn encode(frame: &Frame) -> [u8; FRAME] {
    let mut bytes = [0; FRAME];
    LAW.encode(frame, &mut bytes);
    bytes
}

fn first_header() -> Header {
    let (sequence, timestamp, ssrc) = rand::random();
    Header { marker: true, payload_type: LAW.payload_type(), sequence, timestamp, ssrc }
}

fn after(header: Header) -> Header {
    Header {
        marker: false,
        sequence: header.sequence.wrapping_add(1),
        timestamp: header.timestamp.wrapping_add(FRAME as u32),
        ..header
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::tone::{share, sine};

    #[tokio::test]
    async fn what_one_end_says_the_other_hears_whole_and_in_order() {
        let host = "127.0.0.1".parse().unwrap();
        let (here, there) = (Line::open(host).await.unwrap(), Line::open(host).await.unwrap());
        let speaker = here.speak_to(there.address().unwrap());
        let said = [sine(700.0, 8_000, 800), sine(1_350.0, 8_000, 800)].concat();
        let heard = async {
            let mut sound = Vec::new();
            while sound.len() < 1_600 {
                let frame = there.hear().await.unwrap();
                let quiet = frame.iter().all(|sample| *sample == 0);
                sound.extend(frame.into_iter().filter(|_| !quiet));
            }
            sound
        };
        let (spoken, heard) = tokio::join!(speaker.say(&said), heard);
        spoken.unwrap();
        assert!(share(&heard[..800], 8_000, 700.0) > 0.9);
        assert!(share(&heard[800..1_600], 8_000, 1_350.0) > 0.9);
    }

    #[test]
    fn numbers_wrap_around() {
        let last = Header { sequence: u16::MAX, timestamp: u32::MAX, ..first_header() };
        assert_eq!((after(last).sequence, after(last).timestamp), (0, 159));
    }
}
