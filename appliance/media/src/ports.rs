//! Which RTP port does the next call get?
//!
//! Even ports only (the odd one above belongs to RTCP), and always the one that has been idle
//! longest, so that late packets of an old call meet nobody.

use std::collections::VecDeque;

/// Every port of the range is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("all {0} RTP ports are in use")]
pub struct Exhausted(pub usize);

/// The free ports of a range, longest idle first.
#[derive(Debug)]
pub struct PortPool {
    free: VecDeque<u16>,
    total: usize,
}

impl PortPool {
    /// A pool of the even ports from `start` to `end`, both included, whose odd one is in the range, too.
    pub fn new(start: u16, end: u16) -> PortPool {
        let free: VecDeque<u16> = (start..end).filter(|port| port % 2 == 0 && *port > 0).collect();
        PortPool { total: free.len(), free }
    }

    /// The port that has been idle longest; the caller gives it back.
    pub fn take(&mut self) -> Result<u16, Exhausted> {
        self.free.pop_front().ok_or(Exhausted(self.total))
    }

    /// Puts a port at the end of the queue; a port that is already free stays where it is.
    pub fn give_back(&mut self, port: u16) {
        if !self.free.contains(&port) {
            self.free.push_back(port);
        }
    }

    /// How many ports could be taken now.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// How many ports there are in all.
    pub fn total(&self) -> usize {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_even_ports_are_given_out() {
        let mut pool = PortPool::new(10_001, 10_007);
        assert_eq!([pool.take(), pool.take(), pool.take()], [Ok(10_002), Ok(10_004), Ok(10_006)]);
        assert_eq!(pool.take(), Err(Exhausted(3)));
        assert_eq!(PortPool::new(10_000, 10_004).total(), 2, "the firewall does not open 10005");
    }

    #[test]
    fn the_port_that_was_idle_longest_comes_first() {
        let mut pool = PortPool::new(10_000, 10_005);
        let first = pool.take().unwrap();
        pool.give_back(first);
        assert_eq!([pool.take(), pool.take(), pool.take()], [Ok(10_002), Ok(10_004), Ok(10_000)]);
    }

    #[test]
    fn a_port_given_back_twice_is_free_once() {
        let mut pool = PortPool::new(10_000, 10_001);
        let port = pool.take().unwrap();
        pool.give_back(port);
        pool.give_back(port);
        assert_eq!(pool.free(), 1);
    }
}
