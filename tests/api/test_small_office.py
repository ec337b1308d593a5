"""Does the dialplan of a small office decide as its owner expects, whatever the clock says?

Mon-Fri 9 to 17 in Amsterdam rings reception (100), everything else goes to voicemail, callers from +44900 are dropped.
"""

import pytest

OFFICE = {"days": [0, 1, 2, 3, 4], "start_time": "09:00", "end_time": "17:00", "timezone": "Europe/Amsterdam"}
NIGHT = {"days": [4], "start_time": "22:00", "end_time": "06:00", "timezone": "Europe/Amsterdam"}
CUSTOMER, SPAM = "+31612345678", "+44900123456"


@pytest.fixture(scope="module")
def office(box):
    reception = box.extension("voicemail")
    bot = box.api.post("/v1/bots", {"name": f"Support {reception['id']}", "agent_name": "support"})
    return box.dialplan(
        {"priority": 10, "match_type": "caller_prefix", "match_params": {"prefix": "+44900"}, "action_type": "hangup"},
        {"priority": 100, "match_type": "time_window", "match_params": OFFICE, "action_type": "ring_extension",
         "action_params": {"extension_id": reception["id"]}},
        {"priority": 200, "match_type": "time_window", "match_params": OFFICE, "action_type": "ring_bot",
         "action_params": {"bot_id": bot["id"]}},
        {"priority": 999, "action_type": "voicemail"})


def decided(box, plan, at, caller=CUSTOMER):
    """The decision and its trace."""
    answer = box.api.post(f"/v1/dialplans/{plan['id']}/evaluate", {"caller": caller, "at": at})
    return answer["decision"], answer["trace"]


@pytest.mark.parametrize("at, action", [
    ("2026-01-12T07:59:59Z", "voicemail"),  # Monday 08:59:59
    ("2026-01-12T08:00:00Z", "ring_extension"),  # 09:00:00, the start counts
    ("2026-01-12T15:59:59Z", "ring_extension"),  # 16:59:59
    ("2026-01-12T16:00:00Z", "voicemail"),  # 17:00:00, the end does not
    ("2026-01-10T11:00:00Z", "voicemail"),  # Saturday
    ("2026-07-13T07:00:00Z", "ring_extension"),  # Monday 09:00 in summer
    ("2026-07-13T15:00:00Z", "voicemail"),  # 17:00 in summer
    ("2026-03-27T08:00:00Z", "ring_extension"),  # Friday before the clock goes forward, 09:00
    ("2026-03-30T07:00:00Z", "ring_extension"),  # Monday after, 09:00
    ("2026-10-23T07:00:00Z", "ring_extension"),  # Friday before the clock goes back
    ("2026-10-26T07:59:59Z", "voicemail"),  # Monday after, 08:59:59
])
def test_the_clock_on_the_wall_decides(box, office, at, action):
    decision, _ = decided(box, office, at)
    assert decision["action_type"] == action, decision


def test_a_spam_prefix_is_dropped_at_any_time(box, office):
    for at in ("2026-01-12T10:00:00Z", "2026-01-10T03:00:00Z"):
        decision, trace = decided(box, office, at, SPAM)
        assert decision["action_type"] == "hangup", decision
        assert "not_reached" in str(trace), "the other rules were not tried"


def test_a_window_over_midnight_belongs_to_the_day_it_starts_on(box):
    plan = box.dialplan({"match_type": "time_window", "match_params": NIGHT, "action_type": "hangup"})
    inside = ["2026-01-09T21:00:00Z", "2026-01-10T04:59:59Z"]  # Friday 22:00, Saturday 05:59:59
    outside = ["2026-01-09T20:59:59Z", "2026-01-10T05:00:00Z", "2026-01-10T21:30:00Z", "2026-01-09T04:00:00Z"]
    assert all(decided(box, plan, at)[0].get("action_type") == "hangup" for at in inside)
    assert not any(decided(box, plan, at)[0].get("action_type") == "hangup" for at in outside)


def test_days_when_the_clock_changes_go_by_the_wall(box):
    window = {"days": [6], "start_time": "01:30", "end_time": "03:30", "timezone": "Europe/Amsterdam"}
    plan = box.dialplan({"match_type": "time_window", "match_params": window, "action_type": "hangup"})
    inside = [
        "2026-03-29T00:30:00Z", "2026-03-29T01:29:59Z",  # 01:30 and 03:29:59 on the day without 02:00 to 03:00
        "2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:29:59Z",  # 02:30 comes twice
    ]
    outside = ["2026-03-29T00:29:59Z", "2026-03-29T01:30:00Z", "2026-10-24T23:29:59Z", "2026-10-25T02:30:00Z"]
    assert all(decided(box, plan, at)[0].get("action_type") == "hangup" for at in inside)
    assert not any(decided(box, plan, at)[0].get("action_type") == "hangup" for at in outside)
