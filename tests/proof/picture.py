"""What the world outside sees of an account and its publications, and what has become of them since."""

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simulator.client import ControlClient

STATE = "rotation-state"
TIMES = ("rotated-at", "retire-at", "staged-at")
KEYS = ("retire-key", "made-key")


@dataclass(frozen=True)
class Picture:
    """Pictures are equal when the same slots are published, have changed, and are noted; times and keys differ."""

    published: Mapping[str, str | None]
    """The slot whose key each secret holds."""
    closed: frozenset[str]
    """The secrets that do not open the account."""
    changed: frozenset[str]
    """The slots that have another key than at the beginning."""
    tags: Mapping[str, Mapping[str, str]]
    """Those of each secret, but for the state."""
    state: frozenset[tuple[str, str]]
    """What is noted; a note is about the account, on whichever of its secrets it stands."""
    kept: frozenset[tuple[str | None, str | None]]
    """Content type and foreign tag of every version there is."""
    versions: Counter[str] = field(compare=False)
    regenerated: Counter[str] = field(compare=False)


def keys(simulator: ControlClient) -> dict[str, str]:
    """The fingerprint in each slot of the estate's account."""
    (account,) = simulator.accounts()
    return {slot: told["fingerprint"] for slot, told in account["slots"].items()}


def take(simulator: ControlClient, before: Mapping[str, str]) -> Picture:
    """Look at everything; `before` are the fingerprints at the beginning."""
    (account,) = simulator.accounts()
    rows = {f"{row['vault']}/{row['secret']}": row for row in simulator.verdict()}
    written = [change for change in simulator.history() if "secret" in change]
    current = {_name(change): change["tags"] for change in written}
    live = {told["fingerprint"] for told in account["slots"].values()}
    return Picture(
        published={name: row["slot"] for name, row in rows.items()},
        closed=frozenset(name for name, row in rows.items() if not row["opens"]),
        changed=frozenset(slot for slot, told in account["slots"].items() if told["fingerprint"] != before[slot]),
        tags={name: {tag: text for tag, text in tags.items() if tag != STATE} for name, tags in current.items()},
        state=frozenset(note for tags in current.values() for note in _notes(tags.get(STATE, ""), live)),
        kept=frozenset((change["content_type"], change["tags"].get("owner")) for change in written),
        versions=Counter(name for name, _ in {(_name(change), change["version"]) for change in written}),
        regenerated=Counter({slot: told["regenerated"] for slot, told in account["slots"].items()}),
    )


def shut_out(history: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Every change by which a secret came to hold a key that opens nothing, in words."""
    live: dict[str, str] = {}
    held: dict[str, str | None] = {}
    out: set[str] = set()
    for change in history:
        if "secret" in change:
            held[_name(change)] = change["key"]
        else:
            live[change["slot"]] = change["key"]
        now = {name for name, key in held.items() if key not in live.values()}
        for name in sorted(now - out):
            yield f"{name} does not open the account after {change}"
        out = now


def _name(change: Mapping[str, Any]) -> str:
    return f"{change['vault']}/{change['secret']}"


def _notes(state: str, live: Container[str]) -> Iterator[tuple[str, str]]:
    for note in filter(None, state.split(";")):
        name, _, value = note.partition("=")
        if name in TIMES:
            yield name, "a time"
        elif name in KEYS:
            yield name, "a key that works" if value in live else "a key that is gone"
        else:
            yield name, value
