"""What a unit may touch is what hardening/limits.toml says: files, programs, network, rights."""

import tomllib

import pytest

from tree import REPOSITORY, our_units

LIMITS = tomllib.loads((REPOSITORY / "hardening/limits.toml").read_text())
COMMON = REPOSITORY / "hardening/sandbox/common.conf"
EVERY = pytest.mark.parametrize("name", our_units())

# Settings that no unit of ours may have otherwise.
ALWAYS = {
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "ProtectProc": "invisible",
    "MemoryDenyWriteExecute": "yes",
    "NoNewPrivileges": "yes",
    "RestrictSUIDSGID": "yes",
    "ProtectClock": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "LockPersonality": "yes",
    "SystemCallArchitectures": "native",
    "LimitCORE": "0",
}

# Who may have what the others may not.
EXCEPT = {
    "ProtectKernelTunables": ("yes", {"scaibox-seal.service"}),
    "PrivateDevices": ("yes", {"scaibox-health.service", "scaibox-update@.service"}),
}


@EVERY
def test_what_holds_for_every_unit(tree, name):
    unit = tree.unit(name)
    assert {setting: unit.one(setting) for setting in ALWAYS} == ALWAYS


@pytest.mark.parametrize("setting", EXCEPT)
def test_who_may_have_what_the_others_may_not(tree, setting):
    value, exempt = EXCEPT[setting]
    others = {name for name in our_units() if tree.unit(name).one(setting) != value}
    assert others <= exempt


@EVERY
def test_a_unit_runs_no_program_but_those_it_names(tree, name):
    unit = tree.unit(name)
    assert unit.words("NoExecPaths") == ["/"]
    programs = [path.lstrip("-") for path in unit.words("ExecPaths")]
    shells = [path for path in programs if path in ("/", "/usr", "/bin", "/usr/bin", "/usr/sbin") or path.endswith("sh")]
    assert programs and not shells


@EVERY
def test_only_root_tools_are_root_and_each_daemon_is_somebody_of_its_own(tree, name):
    user = tree.unit(name).one("User")
    assert (user is None) == (LIMITS[name]["kind"] == "root")
    assert tree.unit(name).one("Group") == user
    sharing = {other for other in our_units() if user and tree.unit(other).one("User") == user}
    assert len(sharing) <= 1 or sharing == {"rtp-firewall.service", "scaibox-base-firewall.service"}


@EVERY
def test_the_rights_are_those_of_the_table(tree, name):
    unit = tree.unit(name)
    assert sorted(unit.words("CapabilityBoundingSet")) == sorted(LIMITS[name]["rights"])
    assert set(unit.words("AmbientCapabilities")) <= set(LIMITS[name]["rights"])


@EVERY
def test_the_network_is_that_of_the_table(tree, name):
    assert network(tree.unit(name)) == LIMITS[name]["network"]


def network(unit):
    """none, loopback or any, from the settings that decide it."""
    families = set(unit.words("RestrictAddressFamilies"))
    assert families, "every address family is allowed"
    if not families & {"AF_INET", "AF_INET6"}:
        return "none"
    if unit.words("IPAddressDeny") != ["any"]:
        return "any"
    return {("localhost",): "loopback", (): "none"}[tuple(unit.words("IPAddressAllow"))]


@EVERY
def test_system_calls_are_an_allow_list_without_the_dangerous_groups(tree, name):
    calls = tree.unit(name).all("Service", "SystemCallFilter")
    assert calls[0] == "@system-service"
    assert any(line.startswith("~") and "@privileged" in line and "@resources" in line for line in calls)


@EVERY
def test_secrets_come_as_credentials_and_never_by_the_environment(tree, name):
    unit = tree.unit(name)
    assert unit.all("Service", "EnvironmentFile") == []
    said = " ".join(unit.all("Service", "Environment")).upper()
    assert not any(word in said for word in ("SECRET", "PASSWORD", "KEY", "TOKEN"))


@pytest.mark.parametrize("name", ["redis.service", "minio.service", "control-api.service"])
def test_a_server_binds_its_own_ports_alone(tree, name):
    ports = {
        "redis.service": ["tcp:6379"],
        "minio.service": ["tcp:9000"],
        "control-api.service": ["tcp:443", "tcp:8080"],
    }
    unit = tree.unit(name)
    assert (unit.words("SocketBindAllow"), unit.words("SocketBindDeny")) == (ports[name], ["any"])


def test_the_common_sandbox_opens_nothing():
    text = COMMON.read_text()
    assert "=no" not in text and "IPAddressAllow" not in text and "AmbientCapabilities" not in text
