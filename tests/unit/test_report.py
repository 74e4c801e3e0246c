"""Outcomes as data, and the views that scripts rely on."""

import json
from datetime import timedelta

import pytest

from rotation.errors import BadInput, Forbidden, RotationError, Unavailable
from rotation.model import Action, KnownKey, Reason, Role, Verdict
from rotation.report import Outcome, Report, Step, verdict_to_json
from tests.unit.facts import KEY, NOW, STRING

LEFT = Verdict(Action.LEAVE, Reason.FRESH, "next due tomorrow", until=NOW)
REFUSED = Verdict(Action.REFUSE, Reason.SHARED_KEY_OFF, "stgorders does not accept keys")
UNSEEN = Verdict(Action.REFUSE, Reason.VAULT_UNSEEN, "kv-billing could not be listed")
PLANNED = Verdict(Action.ROTATE, Reason.DUE, "was due", "key2", (KEY, STRING))
STEP = Step(Action.ROTATE, Reason.DUE, "was due", (KEY,), "key2")


def outcome(
    verdict: Verdict | None = LEFT,
    *steps: Step,
    error: RotationError | None = None,
    insisted: bool = False,
) -> Outcome:
    """Make what came of one account."""
    return Outcome("/subscriptions/…/stgorders", (KEY,), verdict, steps, error, insisted=insisted)


def leaving(reason: Reason) -> Verdict:
    """Make a verdict that leaves an account alone."""
    return Verdict(Action.LEAVE, reason, "so it is")


OUTCOMES: dict[str, tuple[Outcome, str, int]] = {
    "nothing to do": (outcome(), "left", 0),
    "a change": (outcome(LEFT, STEP), "changed", 0),
    "what a dry run would do": (outcome(PLANNED), "planned", 0),
    "a refusal": (outcome(REFUSED), "refused", 3),
    "a refusal after a change": (outcome(REFUSED, STEP), "refused", 3),
    "a refusal that ends when the vault is back": (outcome(UNSEEN), "refused", 1),
    "a failure that passes": (outcome(PLANNED, error=Unavailable("x")), "failed", 1),
    "a failure after a change": (outcome(PLANNED, STEP, error=Unavailable("x")), "failed", 1),
    "a failure that needs a person": (outcome(None, error=Forbidden("x")), "failed", 3),
    "bad input": (outcome(None, error=BadInput("x")), "failed", 2),
    "a pause": (outcome(leaving(Reason.PAUSED)), "left", 0),
    "a pause, where a person insisted": (outcome(leaving(Reason.PAUSED), insisted=True), "left", 3),
    "an unknown kind of account, where a person insisted": (
        outcome(leaving(Reason.UNKNOWN_TYPE), insisted=True),
        "left",
        3,
    ),
    "a disabled secret, where a person insisted": (outcome(leaving(Reason.DISABLED), insisted=True), "left", 3),
    "a listing that lags, where a person insisted": (outcome(leaving(Reason.KEYS_BEHIND), insisted=True), "left", 1),
    "a request that was done before": (outcome(leaving(Reason.ALREADY_DONE), insisted=True), "left", 0),
    "a key that ends with its grace": (outcome(leaving(Reason.RETIRING), STEP, insisted=True), "changed", 0),
}


@pytest.mark.parametrize(("came_of_it", "status", "code"), OUTCOMES.values(), ids=OUTCOMES.keys())
def test_an_outcome_has_a_status_and_an_exit_code(came_of_it: Outcome, status: str, code: int) -> None:
    """One word for people, one number for scripts."""
    assert (came_of_it.status, came_of_it.exit_code) == (status, code)
    assert came_of_it.to_json()["status"] == status


def test_a_report_exits_with_the_gravest_code() -> None:
    """What a person must do outweighs what will pass, and that outweighs what went well."""
    fine, passing, grave = outcome(), outcome(error=Unavailable("x")), outcome(REFUSED)

    assert Report().exit_code == 0
    assert Report((fine,)).exit_code == 0
    assert Report((fine, passing)).exit_code == 1
    assert Report((grave, passing, fine)).exit_code == 3
    assert Report((fine,), {"kv-billing": Unavailable("x")}).exit_code == 1
    assert Report((passing,), {"kv-billing": Forbidden("x")}).exit_code == 3


def test_keys_are_told_by_slot_fingerprint_and_role() -> None:
    """A key whose role nobody can tell has none."""
    keys = (KnownKey("key1", "11aa11aa11aa", Role.ACTIVE), KnownKey("key2", "22bb22bb22bb"))

    assert Outcome("", (), keys=keys).to_json()["keys"] == [
        {"slot": "key1", "fingerprint": "11aa11aa11aa", "role": "active"},
        {"slot": "key2", "fingerprint": "22bb22bb22bb"},
    ]


def test_a_report_counts_by_status() -> None:
    """Each account is counted once."""
    report = Report((outcome(), outcome(), outcome(LEFT, STEP), outcome(REFUSED)))

    assert report.counts() == {"left": 2, "changed": 1, "refused": 1}


def test_a_step_has_the_names_that_scripts_rely_on() -> None:
    """Renaming one of these breaks somebody's query."""
    step = Step(
        Action.ROTATE,
        Reason.COMPROMISED,
        "it leaked",
        (KEY,),
        "key2",
        fingerprint="11aa11aa11aa",
        replaced="22bb22bb22bb",
        previous_until=NOW,
        retire_at=NOW,
        broken_promise=NOW + timedelta(days=1),
        notes=("the data plane could not be reached",),
    )

    assert step.to_json() == {
        "action": "rotate",
        "reason": "compromised",
        "because": "it leaked",
        "secrets": ["kv-orders/storage-key"],
        "slot": "key2",
        "fingerprint": "11aa11aa11aa",
        "replaced": "22bb22bb22bb",
        "previous_key_until": "2026-11-21T03:00:00Z",
        "retire_at": "2026-11-21T03:00:00Z",
        "broken_promise_until": "2026-11-22T03:00:00Z",
        "notes": ["the data plane could not be reached"],
    }


def test_a_verdict_has_the_names_that_scripts_rely_on() -> None:
    """What is absent is left out."""
    assert verdict_to_json(LEFT) == {
        "action": "leave",
        "reason": "fresh",
        "because": "next due tomorrow",
        "until": "2026-11-21T03:00:00Z",
    }
    assert verdict_to_json(PLANNED)["secrets"] == ["kv-orders/storage-key", "kv-orders/storage-connection"]


def test_a_whole_report_is_json() -> None:
    """The report survives the way through a file."""
    report = Report(
        (outcome(LEFT, STEP), outcome(None, error=Unavailable("slow"))), {"kv-billing": Forbidden("no right to list")}
    )
    read = json.loads(json.dumps(report.to_json()))

    assert read["counts"] == {"changed": 1, "failed": 1}
    assert read["exit_code"] == 3
    assert read["problems"] == [{"vault": "kv-billing", "code": "forbidden", "message": "no right to list"}]
    assert read["accounts"][1]["error"] == {"code": "unavailable", "message": "slow"}
    assert read["accounts"][0]["steps"][0]["slot"] == "key2"
    assert read["accounts"][0]["seconds"] == 0.0


def test_what_is_absent_is_left_out() -> None:
    """A query for a field that is there finds something in it."""
    assert Outcome("", ()).to_json() == {"account": "", "status": "left", "seconds": 0.0}
