"""The system around the units: accounts, folders, what is enabled, the kernel's settings and modules."""

import stat

import pytest

from tree import REPOSITORY, in_tools, our_units

HARDENING = REPOSITORY / "hardening"


def lines(path):
    """Without comments and empty lines."""
    text = [line.strip() for line in path.read_text().splitlines()]
    return [line for line in text if line and line[0] not in "#;"]


def accounts():
    rows = [line.split(maxsplit=3) for line in lines(REPOSITORY / "systemd/sysusers.d/scaibox.conf")]
    return {name: (kind, int(number)) for kind, name, number, _ in rows}


def settings(path):
    return {key.strip().lstrip("-"): value.strip() for key, _, value in (line.partition("=") for line in lines(path))}


@pytest.fixture(scope="module")
def booted(tree):
    """The staged tree after what the image build and the first boot do to it."""
    done = {
        "sysusers": in_tools("systemd-sysusers", f"--root={tree.root}"),
        "tmpfiles": in_tools("systemd-tmpfiles", f"--root={tree.root}", "--create"),
        "presets": in_tools("systemctl", f"--root={tree.root}", "preset-all"),
    }
    assert {step: said for step, (status, said) in done.items() if status != 0} == {}
    return tree.root


def test_each_daemon_has_a_locked_account_with_a_number_that_never_changes(tree):
    wanted = {tree.unit(name).one("User") for name in our_units()} - {None}
    ours = accounts()
    assert wanted <= set(ours)
    assert {kind for kind, _ in ours.values()} == {"u!"}
    numbers = [number for _, number in ours.values()]
    assert len(set(numbers)) == len(numbers) and all(600 <= number < 700 for number in numbers)


def test_no_account_of_ours_can_log_in(booted):
    rows = [line.split(":") for line in (booted / "etc/passwd").read_text().splitlines()]
    shells = {row[0]: row[6] for row in rows if row[0] in accounts()}
    assert set(shells) == set(accounts()) and set(shells.values()) == {"/usr/sbin/nologin"}


def test_the_folders_of_a_fresh_disk_are_there_and_secrets_are_for_root(booted):
    found = {path: (booted / path).stat() for path in ("var/lib/scaibox", "var/lib/scaibox/secrets", "var/lib/scaibox/ssh", "var/lib/scaibox/engine")}
    modes = {path: (stat.S_IMODE(each.st_mode), each.st_uid) for path, each in found.items()}
    assert modes == {
        "var/lib/scaibox": (0o755, 0),
        "var/lib/scaibox/secrets": (0o700, 0),
        "var/lib/scaibox/ssh": (0o700, 0),
        "var/lib/scaibox/engine": (0o755, 0),
    }


def enabled(root):
    return {link.name for folder in root.glob("etc/systemd/system/*.target.*") for link in folder.iterdir()}


def test_our_units_are_enabled(booted, tree):
    installed = {name for name in our_units() if tree.unit(name).all("Install", "WantedBy")}
    assert installed and installed <= enabled(booted)


def test_nothing_is_enabled_that_logs_in_updates_or_cleans_by_itself(booted):
    words = ("getty", "ssh", "apt", "dpkg", "sysupdate", "e2scrub", "debug", "wait-online", "valkey")
    assert {name for name in enabled(booted) if any(word in name for word in words)} == set()


def test_a_masked_unit_cannot_be_started(booted):
    for name in lines(REPOSITORY / "systemd/masked"):
        folder = "etc/systemd" if "/" in name else "etc/systemd/system"
        assert str((booted / folder / name).readlink()) == "/dev/null"


def test_what_offers_a_shell_is_masked():
    masked = set(lines(REPOSITORY / "systemd/masked"))
    assert {
        "getty@.service",
        "serial-getty@.service",
        "debug-shell.service",
        "system-generators/systemd-getty-generator",
        "system-generators/systemd-ssh-generator",
    } <= masked


def test_the_kernels_command_line_locks_it_down():
    options = set(lines(HARDENING / "cmdline"))
    assert {"lockdown=integrity", "module.sig_enforce=1", "systemd.ssh_auto=no", "systemd.getty_auto=no"} <= options
    assert not [option for option in options if " " in option], "one option a line"


def test_a_kernel_that_is_broken_starts_again():
    assert {"panic=10", "oops=panic"} <= set(lines(HARDENING / "cmdline"))


def reserved():
    ports = set()
    for part in settings(HARDENING / "sysctl.d/90-scaibox.conf")["net.ipv4.ip_local_reserved_ports"].split(","):
        first, _, last = part.partition("-")
        ports |= set(range(int(first), int(last or first) + 1))
    return ports


def test_no_program_is_given_one_of_the_boxs_own_ports_by_chance():
    assert {5060, 5061, 7880, 7881, 7882, *range(10000, 10201)} <= reserved()


def test_nothing_of_a_daemons_memory_reaches_the_disk():
    sysctl = settings(HARDENING / "sysctl.d/90-scaibox.conf")
    assert (sysctl["kernel.core_pattern"], sysctl["fs.suid_dumpable"]) == ("|/bin/false", "0")
    manager = settings(REPOSITORY / "systemd/system.conf.d/10-scaibox.conf")
    assert (manager["DefaultLimitCORE"], manager["DumpCore"]) == ("0", "no")


def test_the_kernel_is_closed_for_modules_once_the_box_is_up(tree):
    seal = tree.unit("scaibox-seal.service")
    assert seal.one("ExecStart").split() == ["/usr/lib/systemd/systemd-sysctl", "/usr/share/scaibox/seal.conf"]
    assert settings(tree.root / "usr/share/scaibox/seal.conf") == {"kernel.modules_disabled": "1"}


def test_modules_that_are_needed_later_are_loaded_before_and_none_of_them_is_blocked():
    loaded = set(lines(HARDENING / "modules-load.d/scaibox.conf"))
    assert {"nf_tables", "nft_ct", "nft_limit", "vfat", "nls_cp437", "usb_storage", "uas"} <= loaded
    blocked = {line.split()[1] for line in lines(HARDENING / "modprobe.d/scaibox.conf")}
    assert blocked and not loaded & blocked


def test_the_journal_lasts_and_has_a_limit():
    journal = settings(REPOSITORY / "systemd/journald.conf.d/10-scaibox.conf")
    assert journal["Storage"] == "persistent" and journal["SystemMaxUse"] and journal["RuntimeMaxUse"]


def test_a_box_that_hangs_is_reset_by_its_hardware():
    manager = settings(REPOSITORY / "systemd/system.conf.d/10-scaibox.conf")
    assert manager["RuntimeWatchdogSec"] == "60s" and manager["RebootWatchdogSec"]


def test_nothing_of_the_name_services_is_heard_outside():
    resolved = settings(REPOSITORY / "systemd/resolved.conf.d/10-scaibox.conf")
    network = settings(REPOSITORY / "systemd/network/80-dhcp.network")
    for each in (resolved, network):
        assert (each["LLMNR"], each["MulticastDNS"]) == ("no", "no")


def test_ssh_is_for_keys_and_for_a_while(tree):
    server = tree.unit("ssh.service")
    assert (server.one("Restart"), server.one("RuntimeMaxSec")) == ("no", "8h")
    said = dict(line.split(maxsplit=1) for line in lines(HARDENING / "sshd_config.d/10-scaibox.conf"))
    assert (said["PasswordAuthentication"], said["KbdInteractiveAuthentication"]) == ("no", "no")
