"""What people do to secrets, and what they bring about by it that only people can mend."""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.integration.estates import SLOTS

Row = Mapping[str, Any]
Tags = dict[str, str | None]

EDITS: dict[str, Tags] = {
    "validity of 90 days": {"validity-days": "90"},
    "validity of 10 days": {"validity-days": "10"},
    "validity too short for the overlap": {"validity-days": "3"},
    "another owner": {"owner": "team-two", "cost": "7"},
    "no owner": {"owner": None},
}
POLICIES: dict[str, Tags] = {
    "paused": {"paused": "true"},
    "not paused": {"paused": None},
    "retired after 3 days": {"retire-after": "P3D"},
    "retired after 30 days": {"retire-after": "P30D"},
    "retired within the overlap": {"retire-after": "P1D"},
    "never retired": {"retire-after": None},
}
WRONG_SLOT = "the other slot"
CHANGES = (*EDITS, *POLICIES, WRONG_SLOT)
MENDED: Tags = {"validity-days": "90"}
MENDED_POLICY: Tags = {"paused": None, "retire-after": None}


def edited(row: Row, change: str, service: str) -> Tags:
    """The tags that somebody changes."""
    if change == WRONG_SLOT:
        first, second = SLOTS[service]
        return {"active-slot": second if row["tags"]["active-slot"] == first else first}
    return EDITS.get(change) or policy(row, POLICIES[change])


def rightly_tagged(row: Row) -> bool:
    """Whether a secret's tag names the slot whose key it holds."""
    tagged: str = row["tags"]["active-slot"]
    held: str | None = row["slot"]
    return tagged == held


def policy(row: Row, changes: Tags) -> Tags:
    """The policy of a secret with something changed."""
    words = {**_policy(row), **changes}
    return {"rotation-policy": ";".join(f"{name}={text}" for name, text in words.items() if text) or None}


def standing(rows: Iterable[Row]) -> set[str]:
    """The reasons for which an account may be left alone or refused until people mend what they did."""
    reasons = set()
    for row in rows:
        words = _policy(row)
        if not row["enabled"]:
            reasons.add("disabled")
        if "paused" in words:
            reasons.add("paused")
        if words.get("retire-after") == "P1D" or row["tags"]["validity-days"] == "3":
            reasons.add("contradiction")
    return reasons


def _policy(row: Row) -> Mapping[str, str]:
    return dict(word.split("=", 1) for word in row["tags"].get("rotation-policy", "").split(";") if word)
