//! Two network namespaces with a wire between them: the box with the daemon, and the world with its hosts.

use daemon::unix_http::Client;
use nix::sched::{CloneFlags, setns};
use rtp_firewall::{desired::Desired, state_file::StateFile};
use std::{
    fs::File,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::unix::net::UnixDatagram,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use types::firewall::{FirewallState, Peers};

/// Nothing here takes that long unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The hosts of the world, by what they are to the box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    Manager,
    Trunk,
    Phone,
    Stranger,
}

pub const HOSTS: [Host; 4] = [Host::Manager, Host::Trunk, Host::Phone, Host::Stranger];
pub const BOX: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 168, 7, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 7, 0, 0, 0, 0, 1))];

impl Host {
    pub fn v4(self) -> IpAddr {
        IpAddr::V4(match self {
            Self::Manager => Ipv4Addr::new(192, 168, 7, 2),
            Self::Trunk => Ipv4Addr::new(203, 0, 113, 5),
            Self::Phone => Ipv4Addr::new(198, 51, 100, 7),
            Self::Stranger => Ipv4Addr::new(198, 51, 100, 66),
        })
    }

    pub fn v6(self) -> IpAddr {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 7, 0, 0, 0, 0, 0x10 + self as u16))
    }
}

pub struct Lab {
    guarded: String,
    world: String,
    folder: tempfile::TempDir,
    daemon: Option<Child>,
}

impl Lab {
    /// The wire is up and the box has a daemon that is ready; trunk and phone are known to it.
    pub async fn guarded() -> Self {
        let mut lab = Self::unguarded();
        lab.start().await;
        let peers = Peers {
            trunks: vec![Host::Trunk.v4().into(), Host::Trunk.v6().into()],
            phones: vec![Host::Phone.v4().into(), Host::Phone.v6().into()],
        };
        lab.client().put::<_, types::firewall::Applied>("/v1/peers", &peers).await.unwrap();
        lab
    }

    /// Only the wire.
    pub fn unguarded() -> Self {
        static LABS: AtomicU32 = AtomicU32::new(0);
        let name = format!("fw{}-{}", std::process::id(), LABS.fetch_add(1, Ordering::Relaxed));
        let folder = tempfile::tempdir().unwrap();
        let lab = Self { guarded: format!("{name}-box"), world: format!("{name}-world"), folder, daemon: None };
        lab.lay_the_wire();
        std::fs::write(lab.path("firewall.toml"), lab.config("nft")).unwrap();
        lab
    }

    fn lay_the_wire(&self) {
        let (guarded, world) = (&self.guarded, &self.world);
        ip(&["netns", "add", guarded]);
        ip(&["netns", "add", world]);
        ip(&["-n", guarded, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", world]);
        for space in [guarded, world] {
            ip(&["-n", space, "link", "set", "lo", "up"]);
            ip(&["-n", space, "link", "set", "wire", "up"]);
        }
        let hosts = HOSTS.iter().flat_map(|host| [host.v4(), host.v6()]);
        let ours = BOX.iter().map(|address| (guarded, *address)).chain(hosts.map(|address| (world, address)));
        for (space, address) in ours {
            let length = if address.is_ipv4() { 24 } else { 64 };
            ip(&["-n", space, "address", "add", &format!("{address}/{length}"), "dev", "wire", "nodad"]);
        }
        ip(&["-n", guarded, "route", "add", "default", "dev", "wire"]);
    }

    /// Starts the daemon as the image does, without /etc/protocols and /etc/services, and waits for READY.
    pub async fn start(&mut self) {
        let notify = UnixDatagram::bind(self.path("notify")).unwrap();
        notify.set_read_timeout(Some(PATIENCE)).unwrap();
        self.daemon = Some(self.spawn(&["--config", self.path("firewall.toml").to_str().unwrap()]));
        let mut message = [0; 64];
        let length = notify.recv(&mut message).expect("the daemon never was ready");
        assert_eq!(&message[..length], b"READY=1");
        std::fs::remove_file(self.path("notify")).unwrap();
    }

    /// Starts it with another nft, and waits for its end.
    pub fn start_in_vain(&self, nft: &str) -> Output {
        let config = self.path("broken.toml");
        std::fs::write(&config, self.config(nft)).unwrap();
        self.spawn(&["--config", config.to_str().unwrap()]).wait_with_output().unwrap()
    }

    fn spawn(&self, args: &[&str]) -> Child {
        let script = "for names in /etc/protocols /etc/services; do \
            [ ! -e $names ] || mount --bind /dev/null $names || exit 9; done; exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script, "-", env!("CARGO_BIN_EXE_rtp-firewall")]).args(args);
        command.env("NOTIFY_SOCKET", self.path("notify")).env_remove("JOURNAL_STREAM").stderr(Stdio::piped());
        self.in_box(move || command.spawn().unwrap())
    }

    /// SIGTERM; asserts that it ends well.
    pub fn stop(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        let pid = nix::unistd::Pid::from_raw(daemon.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert!(daemon.wait().unwrap().success());
    }

    /// What the daemon finds when it starts.
    pub fn remember(&self, desired: &Desired) {
        StateFile::new(self.path("state.json")).save(desired).unwrap();
    }

    pub fn client(&self) -> Client {
        Client::new(self.path("firewall.sock")).with_limit(PATIENCE)
    }

    pub async fn state(&self) -> FirewallState {
        self.client().get("/v1/state").await.unwrap()
    }

    pub fn nft(&self, args: &[&str]) -> Output {
        let mut command = Command::new("nft");
        command.args(args);
        self.in_box(move || command.output().unwrap())
    }

    pub fn in_box<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        within(&self.guarded, work)
    }

    pub fn in_world<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        within(&self.world, work)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self, nft: &str) -> String {
        let (socket, state) = (self.path("firewall.sock"), self.path("state.json"));
        format!(
            "socket = {socket:?}\nstate = {state:?}\nnft = {nft:?}\n[management]\nnetworks = [\"{}/32\", \"{}/128\"]\n",
            Host::Manager.v4(),
            Host::Manager.v6()
        )
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        for space in [&self.guarded, &self.world] {
            let _ = Command::new("ip").args(["netns", "del", space]).status();
        }
    }
}

fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().unwrap();
    assert!(output.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Runs `work` on a thread of its own in the namespace; sockets and children stay there.
fn within<T: Send + 'static>(space: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let space = File::open(format!("/run/netns/{space}")).unwrap();
    let thread = std::thread::spawn(move || {
        setns(space, CloneFlags::CLONE_NEWNET).unwrap();
        work()
    });
    thread.join().unwrap()
}
