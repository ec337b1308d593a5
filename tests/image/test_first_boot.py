"""Does the finished image boot on a new disk, let one person in, and record a call?  In this order, on one machine."""

import pytest
from guest import CACHE, Guest
from lan import NEIGHBOUR, STRANGER
from remote_box import RemoteBox

BOOT_LIMIT = 600
RTP = {str(port) for port in range(10000, 10201)}
# What README says is open, to whom.
TCP_TO_ALL = {"7881"}
TCP_TO_MANAGERS = {"443"}
SIP = {"5060", "5061"}
QUIET_UDP = {"5060", "7882"}  # SIP and WebRTC say nothing to what they do not expect
# Reports what only the machine itself knows, once everything has started.
WITNESS = r"""[Unit]
Description=Witness of a test
After=boot-complete.target multi-user.target scaibox-seal.service
[Service]
Type=oneshot
StandardOutput=journal+console
ExecStart=/bin/bash -c 'for i in {1..240}; do [ "$(systemctl list-jobs --no-legend | grep -vc -e witness -e graphical)" = 0 ] && break; sleep 1; done; \
  echo WITNESS-FAILED [$(systemctl --failed --no-legend --plain | cut -d" " -f1 | tr "\n" ,)]; \
  for u in sip-gateway control-api voice-worker network-info rtp-firewall first-boot fleet-agent livekit-server minio redis; do \
    echo WITNESS-RSS $u $(grep VmRSS /proc/$(systemctl show -P MainPID $u)/status | tr -dc 0-9); done; \
  echo WITNESS-UP $(cut -d" " -f1 /proc/uptime)'
"""


@pytest.fixture(scope="module")
def guest(lan, images):
    version = min(images)
    with Guest(CACHE / "image/guests/first-boot", image=images[version] / f"scaibox_{version}.raw") as machine:
        machine.unit("witness.service", WITNESS)
        machine.start()
        yield machine


@pytest.fixture(scope="module")
def box(guest):
    return RemoteBox()


@pytest.fixture(scope="module")
def code(guest):
    return guest.wait_for(r"claim code (\S{5}-\S{5})", BOOT_LIMIT).group(1)


def test_it_boots_from_an_empty_disk_and_no_unit_fails(guest):
    failed = guest.wait_for(r"WITNESS-FAILED \[(.*)\]", BOOT_LIMIT).group(1)
    guest.wait_for(r"WITNESS-UP", 60)
    print(f"boot: {guest.cpu_seconds():.0f} CPU seconds of QEMU, {guest.lines[-1][0]:.0f} s")
    for _, line in guest.lines:
        if "WITNESS-RSS" in line:
            print("idle KiB:", line.split("WITNESS-RSS ")[1])
    assert failed == ""


def test_the_console_shows_a_claim_code_without_letters_that_look_alike(code):
    assert not set("01IO") & set(code)


def test_before_the_claim_only_the_documented_ports_answer(box, code):
    box.answers()
    assert_ports(box, NEIGHBOUR, TCP_TO_ALL | TCP_TO_MANAGERS)
    assert_ports(box, STRANGER, TCP_TO_ALL)


def test_a_wrong_claim_code_is_refused_and_one_that_cannot_be_a_code_by_its_field(box, code):
    wrong = code[:-1] + ("A" if code[-1] != "A" else "B")
    body = {"code": wrong, "email": "a@example.com", "password": "long enough for anybody"}
    answer = box.api.raw("POST", "/v1/setup/claim", json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_claim_code")
    answer = box.api.raw("POST", "/v1/setup/claim", json=body | {"code": "0"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "code")


def test_whoever_has_the_code_becomes_the_operator_and_nobody_after_that(box, code):
    box.claim(code)
    assert box.api.get("/v1/trunks")["items"] == []
    again = box.api.raw("POST", "/v1/setup/claim", json={"code": code, "email": "b@example.com", "password": "long enough for anybody"})
    assert (again.status_code, again.json()["code"]) == (404, "setup_done")


def test_a_call_from_a_carrier_is_recorded_and_its_tone_comes_back_over_https(box, tmp_path):
    box.leave_tone(box.voicemail_number(), tmp_path)
    assert box.seconds_of_tone() >= 5


def test_after_the_claim_sip_answers_the_carrier_alone(box):
    assert_ports(box, NEIGHBOUR, TCP_TO_ALL | TCP_TO_MANAGERS | SIP)
    assert box.open_ports(STRANGER, "tcp") == dict.fromkeys(TCP_TO_ALL, "open")


def assert_ports(box, source, tcp):
    """TCP: exactly these answer. UDP: nothing but RTP's unused ports says anything, and those say that they are unused."""
    assert box.open_ports(source, "tcp") == dict.fromkeys(tcp, "open")
    found = box.open_ports(source, "udp")
    assert set(found) <= RTP | QUIET_UDP, found
    assert "closed" in found.values(), "the RTP range is reachable"
