"""What starts, as whom, in which order, and what happens when it fails."""

import pytest

from tree import our_units

OURS = ["sip-gateway", "control-api", "voice-worker", "network-info", "rtp-firewall", "first-boot"]
SERVERS = ["redis", "livekit-server", "minio"]

# Whose socket a daemon uses: it is in that daemon's group.
CLIENTS = {
    "sip-gateway": {"control-api"},
    "voice-worker": {"control-api"},
    "first-boot": {"control-api"},
    "network-info": {"sip-gateway"},
    "control-api": {"sip-gateway", "network-info", "rtp-firewall", "first-boot", "fleet-agent"},
    "rtp-firewall": set(),
}


@pytest.fixture
def daemon(tree):
    return lambda name: tree.unit(f"{name}.service")


@pytest.mark.parametrize("name", OURS)
def test_a_daemon_of_ours_says_when_it_is_ready_and_that_it_lives(daemon, name):
    unit = daemon(name)
    assert (unit.one("Type"), unit.one("WatchdogSec")) == ("notify", "30s")


@pytest.mark.parametrize("name", OURS + SERVERS)
def test_a_daemon_that_ends_starts_again_for_ever_with_longer_pauses(daemon, name):
    unit = daemon(name)
    assert unit.one("Restart") == "always"
    assert unit.one("StartLimitIntervalSec", "Unit") == "0"
    assert int(unit.one("RestartSteps")) > 1 and unit.one("RestartMaxDelaySec") == "30s"


@pytest.mark.parametrize("name", OURS)
def test_a_daemon_of_ours_reads_the_configuration_that_was_prepared_for_it(daemon, name):
    unit = daemon(name)
    assert f"config:/run/scaibox/config/{name}.toml" in unit.all("Service", "LoadCredential")
    program, *arguments = unit.one("ExecStart").split()
    assert program == f"/usr/lib/scaibox/{name}"
    assert arguments[-2:] == ["--config", "${CREDENTIALS_DIRECTORY}/config"]


@pytest.mark.parametrize("name", CLIENTS)
def test_a_daemon_reaches_the_sockets_of_its_neighbours_and_no_others(daemon, name):
    assert set(daemon(name).words("SupplementaryGroups")) == CLIENTS[name]


@pytest.mark.parametrize("name", sorted(set().union(*CLIENTS.values()) - {"fleet-agent"}))
def test_the_folder_of_a_socket_is_open_to_the_group_alone(daemon, name):
    unit = daemon(name)
    assert (unit.one("RuntimeDirectory"), unit.one("RuntimeDirectoryMode")) == (name, "0750")


@pytest.mark.parametrize("name", OURS + ["minio"])
def test_what_a_daemon_keeps_is_for_itself(daemon, name):
    unit = daemon(name)
    assert (unit.one("StateDirectory"), unit.one("StateDirectoryMode")) == (name, "0700")


def starts_after(tree, later, earlier):
    """Whether systemd's ordering alone puts one unit behind another."""
    names = our_units()
    before = {name: set(tree.unit(name).words("After", "Unit")) for name in names}
    for name in names:
        for other in tree.unit(name).words("Before", "Unit"):
            before.setdefault(other, set()).add(name)
    todo, seen = [later], set()
    while todo:
        for name in before.get(todo.pop(), set()) - seen:
            seen.add(name)
            todo.append(name)
    return earlier in seen


@pytest.mark.parametrize(
    "later, earlier",
    [
        ("redis.service", "scaibox-prepare.service"),
        ("livekit-server.service", "redis.service"),
        ("sip-gateway.service", "livekit-server.service"),
        ("sip-gateway.service", "rtp-firewall.service"),
        ("control-api.service", "sip-gateway.service"),
        ("voice-worker.service", "minio.service"),
        ("first-boot.service", "sip-gateway.service"),
        ("scaibox-console@.service", "voice-worker.service"),
        ("scaibox-health.service", "voice-worker.service"),
        ("scaibox-follow.service", "scaibox-health.service"),
        ("scaibox-seal.service", "scaibox-health.service"),
        ("rtp-firewall.service", "scaibox-base-firewall.service"),
    ],
)
def test_the_phone_works_before_what_is_around_it(tree, later, earlier):
    assert starts_after(tree, later, earlier)
    assert not starts_after(tree, earlier, later)


def test_calls_wait_for_no_store_of_recordings(tree):
    assert not starts_after(tree, "sip-gateway.service", "minio.service")


def test_the_media_path_wins_over_what_may_wait(daemon):
    def share(name):
        return int(daemon(name).one("CPUWeight") or 100)

    def spared(name):
        return int(daemon(name).one("OOMScoreAdjust") or 0)

    order = ["sip-gateway", "livekit-server", "control-api", "voice-worker", "minio", "scaibox-console@"]
    assert sorted(order, key=spared) == order
    assert min(share("sip-gateway"), share("livekit-server")) > 5 * max(share("minio"), share("scaibox-console@"))


def test_there_is_no_network_without_the_firewall(tree):
    firewall, network = tree.unit("scaibox-base-firewall.service"), tree.unit("systemd-networkd.service")
    assert "scaibox-base-firewall.service" in network.words("BindsTo", "Unit")
    assert "scaibox-base-firewall.service" in network.words("After", "Unit")
    assert "network-pre.target" in firewall.words("Before", "Unit")
    assert firewall.one("DefaultDependencies", "Unit") == "no"


def test_a_boot_is_good_when_the_gate_says_so_and_the_gate_itself_decides_what_follows(daemon):
    gate = daemon("scaibox-health")
    assert gate.words("RequiredBy", "Install") == ["boot-complete.target"]
    assert "boot-complete.target" in gate.words("Before", "Unit")
    for setting in ("FailureAction", "Requires", "BindsTo", "Requisite", "OnFailure"):
        assert gate.all("Unit", setting) == []


def test_a_boot_that_fails_starts_again_and_shows_no_shell(tree):
    emergency = tree.unit("emergency.service")
    assert emergency.all("Service", "ExecStart") == ["/usr/bin/sleep 60"]
    assert emergency.all("Service", "ExecStartPre") == []
    assert emergency.one("SuccessAction", "Unit") == emergency.one("FailureAction", "Unit") == "reboot-force"


def test_the_console_has_the_programs_screen_and_no_login(tree):
    console = tree.unit("scaibox-console@.service")
    assert console.one("ExecStart") == "/usr/lib/scaibox/first-boot console"
    assert (console.one("StandardInput"), console.one("TTYPath")) == ("tty", "/dev/%I")
    rule = (tree.root / "usr/lib/udev/rules.d/70-scaibox-console.rules").read_text()
    assert 'KERNEL=="tty1|ttyS0"' in rule and "scaibox-console@%k.service" in rule
