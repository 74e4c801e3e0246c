"""What the workbook shows of what the app logs: its queries over real lines of the log."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from rotation import policy, telemetry
from rotation.errors import Refused, Throttled, Unavailable
from rotation.model import AccountId, Action, Reason, SecretRef, Slot, Verdict
from rotation.report import Outcome, Step
from rotation.status import Standing
from tests.infra.bicep import INFRA
from tests.infra.kusto import Row, run
from tests.unit.facts import ACCOUNT, AGE, DAY, HOUR, KEY, LEAD, NOW, VALIDITY, facts, publication

ITEMS = json.loads((INFRA / "workbook.content.json").read_text())["items"]
QUERIES: dict[str, str] = {item["name"]: item["content"]["query"] for item in ITEMS if "query" in item["content"]}

BATCH = AccountId.parse(
    f"/subscriptions/{ACCOUNT.subscription}/resourceGroups/rg-orders/providers/Microsoft.Batch/batchAccounts/stgorders"
)
"""An account of another kind that has the same name."""
FINE = Verdict(Action.LEAVE, Reason.FRESH, "fresh")
LOCKED = Verdict(Action.REFUSE, Reason.READ_ONLY_LOCK, "locked")
AT_NOON = NOW.replace(hour=12)


def shown(name: str, rows: list[Row]) -> list[Row]:
    """What a part of the workbook shows at noon."""
    return run(QUERIES[name], rows, AT_NOON)


def attempted(account: AccountId | str = ACCOUNT, before: Standing | None = None, **told: Any) -> None:
    """Log what came of an account, ten days after its key was published."""
    days_left = told.pop("days_left", None)
    outcome = Outcome(str(account), told.pop("secrets", (KEY,)), **({"verdict": FINE} | told))
    telemetry.attempt("rotate_account", outcome, before, days_left=days_left)


def stood(active: Slot = "key1") -> Standing:
    """How an account stands whose key in a slot was published ten days ago."""
    known = facts(publication(holds=active, tagged=active))
    return Standing(known, (KEY,), policy.judge(known, NOW))


def step(action: Action, slot: Slot, *secrets: SecretRef) -> Step:
    """A change of a slot."""
    return Step(action, Reason.DUE, "due", secrets, slot, "0123456789ab")


ROTATED = step(Action.ROTATE, "key2", KEY)
RETIRED = step(Action.RETIRE, "key2")


@pytest.fixture
def log(rows: Callable[..., list[Row]]) -> Callable[..., list[Row]]:
    """Take what was logged, so long ago."""
    return lambda ago=timedelta(): rows(NOW - ago)


def test_the_days_left_are_those_that_were_seen_last(log: Callable[..., list[Row]]) -> None:
    """Each account by itself, however its id is spelt, and the one that is in the greatest hurry first."""
    attempted(str(ACCOUNT).replace("rg-orders", "RG-Orders"), days_left=90, error=Throttled("later"))
    attempted(BATCH, days_left=4)
    attempted("", secrets=(KEY,), verdict=None, error=Refused("no account"))
    seen = log(DAY)
    attempted(days_left=5, before=stood())
    attempted(BATCH, days_left=80, verdict=LOCKED)
    seen += log()

    due = NOW - AGE + VALIDITY - LEAD
    assert [
        ("stgorders", 5, due, NOW - AGE, "left", "fresh", NOW, ACCOUNT.folded),
        ("stgorders", 80, None, None, "refused", "read-only-lock", NOW, BATCH.folded),
    ] == [tuple(getattr(cell, "value", cell) for cell in row.values()) for row in shown("days-left", seen)]


def test_rotations_are_counted_by_day_and_kind(log: Callable[..., list[Row]]) -> None:
    """Whatever else a pass did, and however it began."""
    attempted(steps=(ROTATED, RETIRED))
    attempted(BATCH, steps=(ROTATED,))
    attempted(steps=(step(Action.RETAG, "key2", KEY),))
    attempted()
    seen = log(DAY)
    attempted(steps=(ROTATED,))
    seen += log()

    midnight = NOW.replace(hour=0)
    assert {
        (midnight - DAY, "rotate: due", 2),
        (midnight - DAY, "retire: due", 1),
        (midnight, "rotate: due", 1),
    } == {(row["timestamp"], row["step"], row["keys"]) for row in shown("rotations", seen)}


def test_failures_are_counted_by_day_and_reason(log: Callable[..., list[Row]]) -> None:
    """Those that mend themselves and those that need a person; what is well is none."""
    attempted(error=Throttled("later"))
    attempted(BATCH, error=Throttled("later"))
    attempted(verdict=LOCKED)
    attempted()
    attempted(steps=(ROTATED,))

    midnight = NOW.replace(hour=0)
    assert {(midnight, "throttled", 2), (midnight, "read-only-lock", 1)} == {
        (row["timestamp"], row["why"], row["passes"]) for row in shown("failures", log())
    }


def test_the_last_failures_are_told_with_whom_they_are_about(log: Callable[..., list[Row]]) -> None:
    """An account by its name, a secret that names none and a vault by theirs; the newest first, and no success."""
    attempted(BATCH, verdict=LOCKED)
    attempted(verdict=LOCKED)
    seen = log(2 * HOUR)
    attempted("", secrets=(KEY,), verdict=None, error=Refused("names no account"))
    attempted(verdict=LOCKED)
    seen += log(HOUR)
    telemetry.listed("sweep", {"accounts": 0, "unseen": ["kv-one"]}, {"kv-one": Unavailable("away")})
    attempted()
    seen += log()

    assert [
        ("kv-one", "away", "kv-one", 1, NOW),
        ("stgorders", "locked", ACCOUNT.folded, 2, NOW - HOUR),
        (str(KEY), "names no account", str(KEY), 1, NOW - HOUR),
        ("stgorders", "locked", BATCH.folded, 1, NOW - 2 * HOUR),
    ] == [tuple(row.values()) for row in shown("last-failures", seen)]


@pytest.mark.parametrize("slots", [("key1", "key2"), ("Primary", "Secondary")], ids="-".join)
@pytest.mark.parametrize("turn", [1, -1])
def test_both_keys_have_their_age(log: Callable[..., list[Row]], slots: tuple[Slot, Slot], turn: int) -> None:
    """Of the published one since it was published, of the other one since it was retired or followed."""
    active, idle = slots[::turn]
    attempted("", secrets=(KEY,), verdict=None, error=Refused("no account"))
    attempted(before=stood(active), steps=(step(Action.RETIRE, idle),))
    attempted(BATCH, stood(active))
    seen = log(2 * DAY)
    ages = {(idle, ACCOUNT.folded): 2, (active, ACCOUNT.folded): AGE.days, (active, BATCH.folded): AGE.days}
    assert ages == _ages(seen)

    attempted(before=stood(active), steps=(step(Action.ROTATE, idle, KEY),))
    assert {**ages, (idle, ACCOUNT.folded): 1} == _ages(seen := [*seen, *log(DAY)])

    attempted(before=stood(idle), steps=(step(Action.RETIRE, active),))
    assert 0 == _ages([*seen, *log()])[active, ACCOUNT.folded]


def test_sweeps_are_drawn_by_the_hour(log: Callable[..., list[Row]]) -> None:
    """The most of each number within one."""
    for queued in (3, 1):
        telemetry.listed("sweep", {"accounts": 9, "queued": queued, "strays": 2, "unseen": ["kv-one"]}, {})
    telemetry.listed("audit", {"accounts": 99, "queued": 99}, {})

    assert [{"timestamp": NOW, "accounts": 9, "queued": 3, "strays": 2, "unseen": 1}] == shown("sweeps", log())


def _ages(rows: list[Row]) -> dict[tuple[str, str], int]:
    told = shown("ages", rows)
    assert {"stgorders"} == {row["name"] for row in told}
    assert sorted(told, key=lambda row: (row["account"], row["slot"])) == told
    return {(row["slot"], row["account"]): row["age"] for row in told}
