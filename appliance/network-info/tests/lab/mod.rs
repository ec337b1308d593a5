//! A box, a router and an internet, as network namespaces with real routing and NAT.
//!
//! ```text
//! box 192.168.77.2 ---- 192.168.77.1 router 203.0.113.2 ---- 203.0.113.10, .11 internet
//!     2001:db8:77::2       2001:db8:77::1   2001:db8:113::2     2001:db8:113::10
//! ```
//!
//! Needs root and the packages `iproute2` and `nftables`; a machine without them fails these tests.
#![allow(dead_code)] // each test file uses its part

pub mod stun_server;

use std::{
    fs::File,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The three hosts; gone when dropped.
pub struct Lab {
    pub inside: String,
    pub router: String,
    pub outside: String,
}

/// How the router maps ports.
pub enum Masquerade {
    /// One port of the router for one of the box.
    KeepsPorts,
    /// Another one for each destination.
    RandomPorts,
}

impl Lab {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = |role| format!("lab{}-{}-{role}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let lab = Self { inside: name("box"), router: name("router"), outside: name("net") };
        for namespace in lab.all() {
            sh(&format!("ip netns add {namespace} && ip -n {namespace} link set lo up"));
        }
        lab.wire();
        lab.address();
        lab.settle();
        lab
    }

    fn all(&self) -> [&str; 3] {
        [&self.inside, &self.router, &self.outside]
    }

    fn wire(&self) {
        let Self { inside, router, outside } = self;
        sh(&format!("ip -n {router} link add lan type veth peer name eth0 netns {inside}"));
        sh(&format!("ip -n {router} link add wan type veth peer name eth0 netns {outside}"));
        for (namespace, link) in [(inside, "eth0"), (router, "lan"), (router, "wan"), (outside, "eth0")] {
            sh(&format!("ip -n {namespace} link set {link} up"));
        }
        sh(&format!("ip netns exec {router} sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"));
    }

    fn address(&self) {
        let Self { inside, router, outside } = self;
        for (namespace, link, address) in [
            (inside, "eth0", "192.168.77.2/24"),
            (inside, "eth0", "2001:db8:77::2/64"),
            (router, "lan", "192.168.77.1/24"),
            (router, "lan", "2001:db8:77::1/64"),
            (router, "wan", "203.0.113.2/24"),
            (router, "wan", "2001:db8:113::2/64"),
            (outside, "eth0", "203.0.113.10/24"),
            (outside, "eth0", "203.0.113.11/24"),
            (outside, "eth0", "2001:db8:113::10/64"),
        ] {
            let nodad = if address.contains("::") { "nodad" } else { "" };
            sh(&format!("ip -n {namespace} address add {address} dev {link} {nodad}"));
        }
        sh(&format!("ip -n {inside} route add default via 192.168.77.1"));
        sh(&format!("ip -n {inside} route add default via 2001:db8:77::1"));
        // What the internet answers to addresses that no NAT hides.
        sh(&format!("ip -n {outside} route add 192.168.77.0/24 via 203.0.113.2"));
        sh(&format!("ip -n {outside} route add 2001:db8:77::/64 via 2001:db8:113::2"));
    }

    /// Until the kernel has made sure of its own IPv6 addresses, which is a change of the network too.
    fn settle(&self) {
        let since = Instant::now();
        for namespace in self.all() {
            while !output(&format!("ip -n {namespace} -6 address show tentative")).is_empty() {
                assert!(since.elapsed() < PATIENCE, "IPv6 addresses in {namespace} stay tentative");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    /// The router hides the box's IPv4 address.
    pub fn masquerade(&self, how: Masquerade) {
        let how = match how {
            Masquerade::KeepsPorts => "",
            Masquerade::RandomPorts => "fully-random",
        };
        sh(&format!(
            "ip netns exec {} nft 'table ip lab {{ chain out {{ type nat hook postrouting priority srcnat; \
             oifname \"wan\" masquerade {how} ; }}; }}'",
            self.router
        ));
    }

    /// The provider gives the router another address; connections of the old one are forgotten with it.
    pub fn renumber_router(&self, from: &str, to: &str) {
        let router = &self.router;
        sh(&format!("ip -n {router} address add {to}/24 dev wan"));
        sh(&format!("ip -n {router} address del {from}/24 dev wan"));
        // Deleting the first address of a network takes the others with it, unless it promotes them.
        sh(&format!("ip -n {router} address replace {to}/24 dev wan"));
    }

    /// `program`, to be run on the box.
    pub fn on_the_box(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.inside, program]);
        command
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for namespace in self.all() {
            Command::new("ip").args(["netns", "delete", namespace]).stderr(Stdio::null()).status().ok();
        }
    }
}

/// Does `work` in a namespace; sockets made there stay there.
pub fn within<T: Send + 'static>(namespace: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let place = File::open(format!("/run/netns/{namespace}")).expect("the namespace is there");
    let thread = std::thread::spawn(move || {
        nix::sched::setns(place, nix::sched::CloneFlags::CLONE_NEWNET).expect("this needs root");
        work()
    });
    thread.join().expect("work in the namespace")
}

/// Runs a shell line, or fails the test saying what this machine lacks.
pub fn sh(line: &str) {
    output(line);
}

fn output(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().expect("sh");
    assert!(
        output.status.success(),
        "`{line}` failed: {}\nThese tests make network namespaces with NAT: they need root, a kernel with nftables NAT \
         and the packages iproute2 and nftables.",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Asks again until the answer is there.
pub async fn eventually<T, Fut: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> Fut) -> T {
    let since = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(since.elapsed() < PATIENCE, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
