"""Does the box know whether calls work on it, and name the part that does not?"""

import json
import subprocess

import pytest
from boxkit import PROGRAMS, until

STEPS = ["prepare", "call", "greeting", "message", "hang_up", "recording", "tone"]


def self_call(box, *options):
    """(exit status, the summary that programs read)"""
    command = [PROGRAMS / "self-call", "--control", box.data / "run" / "control.sock", "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150)
    return done.returncode, json.loads(done.stdout)


def assert_passes(box):
    status, summary = self_call(box)
    assert status == 0 and summary["ok"], summary
    assert [step["step"] for step in summary["steps"]] == STEPS


def assert_fails_at(box, step, words):
    status, summary = self_call(box, "--limit", "40")
    assert status == 1 and not summary["ok"], summary
    assert summary["failed"] == step and words in summary["reason"], summary


def test_a_whole_box_takes_its_own_call_as_often_as_it_likes(box):
    assert_passes(box)
    assert_passes(box)


def test_people_read_a_line_for_each_step(box):
    command = [PROGRAMS / "self-call", "--control", box.data / "run" / "control.sock"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == STEPS


def test_a_tenants_own_trunk_for_this_machine_is_not_in_the_way(box):
    box.number({"action_type": "hangup"}, allowed_addresses=["127.0.0.0/8"])
    assert_passes(box)


def test_nobody_is_shown_the_boxs_own_things(box):
    operator = box.operator()

    def shown():
        return {path: operator.get(path)["items"] for path in
                ["/v1/tenants", "/v1/trunks", "/v1/dids", "/v1/calls", "/v1/voicemails"]}

    before = {path: [item["id"] for item in items] for path, items in shown().items()}
    assert_passes(box)
    assert {path: [item["id"] for item in items] for path, items in shown().items()} == before


def test_its_number_cannot_be_taken(box):
    trunk = box.trunk()
    refused = box.api.raw("POST", "/v1/dids", json={"number": "+999000000000001", "trunk_id": trunk["id"]})
    assert refused.status_code == 422 and refused.json()["errors"][0]["code"] == "reserved"


@pytest.fixture(scope="module")
def broken_box():
    from boxkit import Box

    with Box() as running:
        yield running


@pytest.mark.parametrize("part, step, words", [
    ("minio", "recording", "waits for the object store"),
    ("voice-worker", "call", "refused with"),
    ("sip-gateway", "call", "sip-gateway does not answer"),
    ("control-api", "prepare", "nobody listens"),
])
def test_a_part_that_is_away_is_found_out_and_the_box_passes_again_when_it_is_back(broken_box, part, step, words):
    broken_box.hold(part)
    try:
        assert_fails_at(broken_box, step, words)
    finally:
        broken_box.release(part)
    until(lambda: self_call(broken_box)[1]["ok"], 90, f"the box passes with {part} back", every=1)
