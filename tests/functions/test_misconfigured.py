"""An app whose settings are missing or wrong: it starts, and says so."""

import json
from collections import Counter

import pytest

from simulator.client import ControlClient
from tests.functions.estate import SETTINGS, estate
from tests.functions.events import event_grid
from tests.functions.fresh import ROOT, fresh
from tests.functions.harness import OLD, OLD_PYTHON

pytestmark = pytest.mark.skipif(OLD_PYTHON, reason=OLD)

KEY = {"vault": "kv-one", "secret": "secret-0"}
MESSAGE = {
    "version": 1,
    "asked": "2026-01-02T03:04:05+00:00",
    "secrets": ["kv-one/secret-0"],
    "request": {"trigger": "schedule", "id": "one", "grace": "PT15M", "force": False},
}


def test_a_misconfigured_app_starts_and_every_function_says_what_is_wrong(simulator: ControlClient) -> None:
    """All six are there; HTTP answers with every complaint at once, the others log it, and Azure is not asked."""
    simulator.reset(estate())
    told, logged = fresh(
        ROOT,
        ["get", "status"],
        ["post", "rotate_now", KEY],
        ["timer", "sweep"],
        ["timer", "audit"],
        ["event", "near_expiry", event_grid("kv-one", "secret-0", "0")],
        ["message", "rotate_account", json.dumps(MESSAGE)],
        ["message", "rotate_account", json.dumps(event_grid("kv-one", "secret-0", "0"))],
        **SETTINGS | {"ROTATION_VAULTS": "kv one", "ROTATION_OVERLAP": "soon"},
    )

    assert 6 == len(told["functions"])
    status, ordered, *others = told["results"]
    for answer in (status, ordered):
        assert (503, "bad-settings") == (answer["status"], answer["body"]["code"])
        assert ["ROTATION_VAULTS", "ROTATION_OVERLAP"] == [e.partition(":")[0] for e in answer["body"]["errors"]]
    assert [(None, [])] * 5 == [(other["error"], other["messages"]) for other in others]
    events = [json.loads(line) for line in logged.splitlines() if '"event": "rotation.failed"' in line]
    functions = Counter(event["function"] for event in events if event["error"] == "bad-settings")
    assert Counter([*told["functions"], "rotate_account"]) == functions
    assert [] == simulator.journal()


def test_an_app_without_any_setting_starts(simulator: ControlClient) -> None:
    """Nothing is read while it is loaded."""
    simulator.reset(estate())
    told, _ = fresh(ROOT, ["get", "status"], ROTATION_VAULTS="")
    assert 6 == len(told["functions"])
    assert "ROTATION_VAULTS" in told["results"][0]["body"]["detail"]


def test_a_schedule_that_is_not_set_is_told(simulator: ControlClient, azurite: str) -> None:
    """The host cannot fire a timer without one, and nobody would miss the sweeps before keys expire."""
    simulator.reset(estate())
    told, _ = fresh(ROOT, ["get", "status"], **SETTINGS | {"AzureWebJobsStorage": azurite, "ROTATION_SCHEDULE": ""})

    assert 503 == told["results"][0]["status"]
    assert "ROTATION_SCHEDULE: it is not set, so the host starts no sweeps" == told["results"][0]["body"]["detail"]
