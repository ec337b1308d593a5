"""No unit is open wider than hardening/limits.toml allows, and a weaker one is noticed."""

import tomllib

import pytest

from tree import REPOSITORY, our_units

LIMITS = tomllib.loads((REPOSITORY / "hardening/limits.toml").read_text())
HIGHEST = {"own": 2.0, "root": 2.0, "third-party": 3.0}

WEAKENINGS = {
    "system calls": "SystemCallFilter=",
    "capabilities": "CapabilityBoundingSet=CAP_SYS_ADMIN CAP_SYS_PTRACE CAP_DAC_OVERRIDE",
    "files": "ProtectSystem=no\nProtectHome=no\nPrivateDevices=no",
    "kernel": "ProtectKernelLogs=no\nProtectKernelModules=no\nProtectClock=no",
    "new rights": "NoNewPrivileges=no\nRestrictSUIDSGID=no\nRestrictNamespaces=no",
}


def over(scores):
    return {name: score for name, score in scores.items() if score > LIMITS[name]["exposure"]}


def test_every_unit_has_a_limit_and_every_limit_a_unit():
    assert our_units() == sorted(LIMITS)


def test_no_limit_is_above_the_highest_of_its_kind():
    assert {name: limit for name, limit in LIMITS.items() if limit["exposure"] > HIGHEST[limit["kind"]]} == {}


def test_no_unit_is_open_wider_than_its_limit(tree):
    assert over(tree.exposure(our_units())) == {}


@pytest.mark.parametrize("weakening", WEAKENINGS.values(), ids=WEAKENINGS.keys())
def test_a_weaker_unit_is_noticed(own_tree, weakening):
    for name in our_units():
        own_tree.add(name, f"[Service]\n{weakening}\n")
    assert sorted(over(own_tree.exposure(our_units()))) == our_units()


def test_systemd_finds_no_fault_in_any_unit(tree):
    assert tree.verify(our_units()) == (0, "")


def test_a_misspelt_setting_is_a_fault(own_tree):
    own_tree.add("redis.service", "[Service]\nProtectSytem=strict\n")
    _, said = own_tree.verify(["redis.service"])
    assert "ProtectSytem" in said
