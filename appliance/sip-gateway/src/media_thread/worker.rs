//! What does a media thread do all day?
//!
//! Sweeps on a fixed 5 ms grid: take orders, ask epoll once which sockets have something, read
//! those, send what is due. The grid keeps forwarded packets evenly spaced, one epoll call for all
//! sockets keeps the idle ones free.

use super::LegOrder;
use super::leg::Leg;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

const SWEEP: Duration = Duration::from_millis(5);
/// Sockets that one epoll call reports; the rest is reported by the next.
const READY: usize = 512;
/// Datagrams read from a socket before the next one has its turn.
const BURST: usize = 32;

/// To a thread.
pub enum Order {
    Add(u64, Box<Leg>),
    Leg(u64, LegOrder),
}

/// One media thread's belongings.
pub struct Worker {
    orders: Receiver<Order>,
    count: Arc<AtomicUsize>,
    epoll: Epoll,
    legs: Vec<Option<Box<Leg>>>,
    /// Place of a leg in `legs`.
    places: HashMap<u64, usize>,
    ready: Vec<EpollEvent>,
    buffer: Box<[u8; 2048]>,
}

/// Which of a leg's sockets; the lowest two bits of epoll's data.
const RTP: u64 = 0;
const ROOM: u64 = 1;
const RTCP: u64 = 2;

impl Worker {
    pub fn new(orders: Receiver<Order>, count: Arc<AtomicUsize>) -> nix::Result<Worker> {
        Ok(Worker {
            orders,
            count,
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            legs: Vec::new(),
            places: HashMap::new(),
            ready: vec![EpollEvent::empty(); READY],
            buffer: Box::new([0; 2048]),
        })
    }

    /// Runs until nobody can give orders any more.
    pub fn run(mut self) {
        let mut next = Instant::now();
        while self.take_orders() {
            self.read_sockets();
            self.tick();
            next += SWEEP;
            let now = Instant::now();
            match next.checked_duration_since(now) {
                Some(rest) => std::thread::sleep(rest),
                None => next = now,
            }
        }
    }

    /// Takes what was ordered; waits for an order while there are no legs. False at the end.
    fn take_orders(&mut self) -> bool {
        if self.places.is_empty() {
            match self.orders.recv() {
                Ok(order) => self.obey(order),
                Err(_) => return false,
            }
        }
        loop {
            match self.orders.try_recv() {
                Ok(order) => self.obey(order),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return !self.places.is_empty(),
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Add(id, leg) => self.add(id, leg),
            Order::Leg(id, order) => {
                let Some(place) = self.places.get(&id).copied() else { return };
                if let LegOrder::Rejoin(again) | LegOrder::Move(again, _) = &order
                    && let Err(error) = self.watch(&again.room_socket, place, ROOM)
                {
                    // Nothing will come by it, so the session ends and another one follows.
                    tracing::error!(%error, "a leg's new socket could not be watched");
                }
                let Some(leg) = &mut self.legs[place] else { return };
                if !leg.obey(order, Instant::now()) {
                    self.remove(id, place);
                }
            }
        }
    }

    fn add(&mut self, id: u64, mut leg: Box<Leg>) {
        let place = self.legs.iter().position(Option::is_none).unwrap_or(self.legs.len());
        let watched = self
            .watch(leg.rtp(), place, RTP)
            .and_then(|()| self.watch(leg.room_socket(), place, ROOM))
            .and_then(|()| self.watch(leg.rtcp(), place, RTCP));
        if let Err(error) = watched {
            tracing::error!(%error, "a leg's sockets could not be watched");
            self.count.fetch_sub(1, Ordering::Relaxed);
            return leg.close();
        }
        leg.flush(Instant::now());
        if place == self.legs.len() {
            self.legs.push(None);
        }
        self.legs[place] = Some(leg);
        self.places.insert(id, place);
    }

    fn watch(&self, socket: &UdpSocket, place: usize, which: u64) -> nix::Result<()> {
        self.epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, (place as u64) << 2 | which))
    }

    /// Closing the sockets ends epoll's interest in them.
    fn remove(&mut self, id: u64, place: usize) {
        self.places.remove(&id);
        if let Some(leg) = self.legs[place].take() {
            leg.close();
        }
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    fn read_sockets(&mut self) {
        let ready = match self.epoll.wait(&mut self.ready, EpollTimeout::ZERO) {
            Ok(ready) => ready,
            Err(nix::errno::Errno::EINTR) => 0,
            Err(error) => return tracing::error!(%error, "epoll failed"),
        };
        let now = Instant::now();
        for event in &self.ready[..ready] {
            let place = (event.data() >> 2) as usize;
            let Some(Some(leg)) = self.legs.get_mut(place) else { continue };
            match event.data() & 3 {
                RTP => read(leg, Leg::rtp, &mut self.buffer, |leg, data, from| leg.handle_phone(data, from, now)),
                RTCP => read(leg, Leg::rtcp, &mut self.buffer, |leg, data, from| leg.handle_reports(data, from, now)),
                _ => read(leg, Leg::room_socket, &mut self.buffer, |leg, data, from| leg.handle_room(data, from, now)),
            }
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        for leg in self.legs.iter_mut().flatten() {
            leg.tick(now);
        }
    }
}

/// Reads what a socket has. Errors are those of earlier sends (ICMP) and clear themselves.
fn read(
    leg: &mut Leg,
    socket: impl Fn(&Leg) -> &UdpSocket,
    buffer: &mut [u8; 2048],
    mut take: impl FnMut(&mut Leg, &[u8], SocketAddr),
) {
    for _ in 0..BURST {
        match socket(leg).recv_from(buffer) {
            Ok((length, from)) => take(leg, &buffer[..length], from),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
            Err(_) => {}
        }
    }
}
