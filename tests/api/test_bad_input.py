"""Is bad input refused with a reason per field, and is another tenant's object simply not there?"""

import pytest
from boxkit import Api, new_number

EVERYTHING_WRONG = {
    "trunks": ({"name": "", "sip_server_address": "not a host", "sip_transport": "carrier pigeon", "auth_mode": "trust",
                "allowed_addresses": ["300.1.1.1"]},
               {"name", "sip_server_address", "sip_transport", "auth_mode", "allowed_addresses"}),
    "dids": ({"number": "12", "trunk_id": "ten_1", "dialplan_id": 7}, {"number", "trunk_id", "dialplan_id"}),
    "extensions": ({"number": "abc def", "name": "", "type": "pager", "ring_timeout_s": -1},
                   {"number", "name", "type", "ring_timeout_s"}),
    "dialplans": ({"name": "", "rules": [{"match_type": "always", "action_type": "dance"}]}, {"name", "rules[0].action_type"}),
    "users": ({"email": "nobody", "name": "", "role": "king", "password": ""}, {"email", "name", "role"}),
    "keys": ({"name": "", "role": "king"}, {"name", "role"}),
    "bots": ({"name": "", "agent_name": ""}, {"name", "agent_name"}),
}


def fields(answer):
    """The fields that were refused: a list's own name counts for each of its items."""
    assert answer.status_code == 422, answer.text
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["code"] and body["title"] and body["correlation_id"] and body["status"] == 422
    named = [error["field"] for error in body["errors"]]
    assert all(error["code"] and error["message"] for error in body["errors"])
    return named


@pytest.mark.parametrize("noun", EVERYTHING_WRONG)
def test_every_wrong_field_is_named_once(box, noun):
    body, wrong = EVERYTHING_WRONG[noun]
    named = fields(box.api.raw("POST", f"/v1/{noun}", json=body))
    found = {field if field in wrong else field.split("[")[0] for field in named}
    assert wrong <= found, f"wanted {wrong}, got {named}"
    assert len(named) == len(set(named)), named


@pytest.mark.parametrize("noun", EVERYTHING_WRONG)
@pytest.mark.parametrize("body", ["{", "[]", "17", '"text"', ""])
def test_a_body_that_is_no_object_is_refused(box, noun, body):
    answer = box.api.raw("POST", f"/v1/{noun}", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["code"]


@pytest.mark.parametrize("noun", EVERYTHING_WRONG)
def test_an_unknown_field_is_named(box, noun):
    assert "surprise" in fields(box.api.raw("POST", f"/v1/{noun}", json={"surprise": 1}))


@pytest.mark.parametrize("rule, field", [
    ({"match_type": "caller_prefix", "match_params": {"prefix": "31"}}, "match_params.prefix"),
    ({"match_type": "time_window", "match_params": {"days": [7], "start_time": "09:00", "end_time": "17:00", "timezone": "UTC"}},
     "match_params.days"),
    ({"match_type": "time_window", "match_params": {"days": [1], "start_time": "09:00", "end_time": "09:00", "timezone": "UTC"}},
     "match_params.end_time"),
    ({"match_type": "time_window", "match_params": {"days": [1], "start_time": "9", "end_time": "17:00", "timezone": "UTC"}},
     "match_params.start_time"),
    ({"match_type": "time_window", "match_params": {"days": [1], "start_time": "09:00", "end_time": "17:00", "timezone": "Moon/Base"}},
     "match_params.timezone"),
])
def test_a_rule_that_cannot_work_is_refused_at_its_field(box, rule, field):
    body = {"name": "plan", "rules": [{"action_type": "hangup", "action_params": {}, **rule}]}
    named = fields(box.api.raw("POST", "/v1/dialplans", json=body))
    assert any(name.startswith(f"rules[0].{field}") for name in named), named


def test_days_of_a_rule_are_sorted_and_counted_once(box):
    window = {"days": [4, 0, 4, 2], "start_time": "22:00", "end_time": "06:00", "timezone": "Europe/Amsterdam"}
    plan = box.dialplan({"match_type": "time_window", "match_params": window, "action_type": "hangup"})
    assert plan["rules"][0]["match_params"]["days"] == [0, 2, 4]


@pytest.fixture(scope="module")
def things(box):
    """One object of each noun in the first tenant."""
    trunk, plan = box.trunk(), box.dialplan({"action_type": "hangup"})
    return {
        "trunks": trunk,
        "dialplans": plan,
        "dids": box.api.post("/v1/dids", {"number": new_number(), "trunk_id": trunk["id"], "dialplan_id": plan["id"]}),
        "extensions": box.extension("voicemail"),
        "bots": box.api.post("/v1/bots", {"name": f"Bot of {trunk['id']}", "agent_name": "somebody"}),
        "users": box.user()[0],
    }


@pytest.mark.parametrize("noun", ["trunks", "dialplans", "dids", "extensions", "bots", "users"])
def test_another_tenants_object_is_not_found(things, own_tenant, noun):
    path = f"/v1/{noun}/{things[noun]['id']}"
    for method in ("GET", "PATCH", "DELETE"):
        answer = own_tenant.api.raw(method, path, json={} if method == "PATCH" else None)
        assert answer.status_code == 404, (method, answer.status_code, answer.text)
    assert things[noun]["id"] not in str(own_tenant.api.get(f"/v1/{noun}"))


def test_another_tenants_id_in_a_body_is_refused(things, own_tenant):
    body = {"number": new_number(), "trunk_id": things["trunks"]["id"], "dialplan_id": things["dialplans"]["id"]}
    answer = own_tenant.api.raw("POST", "/v1/dids", json=body)
    assert answer.status_code in (404, 422), answer.text


def test_a_wrong_password_is_401(box):
    stranger = Api(box.facts["api"])
    answer = stranger.raw("POST", "/v1/session", json={"email": "nobody@example.org", "password": "wrong"})
    assert answer.status_code == 401 and answer.json()["code"] == "wrong_credentials"


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic eDp5"}])
def test_without_valid_credentials_nothing_is_shown(box, header):
    answer = Api(box.facts["api"], headers=header).raw("GET", "/v1/trunks")
    assert answer.status_code == 401 and answer.json()["code"]


def test_a_password_is_never_shown_again(box):
    trunk = box.trunk(auth_mode="credentials", register=False, sip_auth_username="me", sip_auth_password="hidden-word")
    assert "hidden-word" not in str(trunk) + str(box.api.get(f"/v1/trunks/{trunk['id']}")) + str(box.api.get("/v1/audit"))
    assert "hidden-word" not in box.log("control-api")


def test_an_originate_names_both_wrong_fields(box):
    bad = box.api.raw("POST", "/v1/calls", json={"from_extension_id": "nonsense", "to": "somewhere"})
    assert set(fields(bad)) == {"from_extension_id", "to"}


def test_the_api_describes_itself(box):
    paths = Api(box.facts["api"]).get("/openapi.json")["paths"]
    for noun in ("tenants", "users", "keys", "trunks", "dids", "extensions", "dialplans", "bots", "calls", "voicemails", "audit"):
        assert f"/v1/{noun}" in paths, noun
