"""The time that no program could beat, from the requests that were made and how long the service took for each.

Requests of one account that were under way at the same time do not depend on each other; the slowest of them counts.
What follows one another is the account's chain. A run takes at least as long as the longest chain, as all chains
together on so many places, and as the emptiest bucket takes to grant what was asked of it.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from simulator.clouds import PUBLIC, Plane, locate
from simulator.quotas import Bucket, buckets
from simulator.wire import Call

Entry = Mapping[str, Any]
"""One request of the simulator's journal."""

THROTTLED = 429

_ACCOUNT = re.compile(r"(?:accounts|webpubsub)/([a-z0-9-]+)|/secrets/([a-z0-9-]+)-\d+/?$", re.IGNORECASE)


_KINDS = {"listkeys": "list keys", "regeneratekey": "regenerate a key", "regeneratekeys": "regenerate a key"}


def chains(entries: Iterable[Entry]) -> dict[str, float]:
    """Seconds of the longest chain of dependent requests, for each account."""
    by_account: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if (name := account(entry)) and entry["status"] != THROTTLED:
            by_account[name].append(entry)
    return {name: chain(requests) for name, requests in by_account.items()}


def chain(entries: Sequence[Entry]) -> float:
    """The same for the requests of one account."""
    total, stage, ends = 0.0, 0.0, float("-inf")
    for entry in sorted(entries, key=lambda e: float(e["time"])):
        if entry["time"] >= ends:
            total, stage = total + stage, 0.0
        stage = max(stage, entry["duration"])
        ends = max(ends, entry["time"] + entry["duration"])
    return total + stage


def account(entry: Entry) -> str | None:
    """Which account a request is about; None for the listing of a vault."""
    if found := _ACCOUNT.search(entry["path"]):
        return str(found[1] or found[2]).lower()
    place = locate(entry["host"], PUBLIC)
    return place.resource if place and place.plane in ("blob", "batch", "webpubsub") else None


def kind(entry: Entry) -> str:
    """What a request is for."""
    place = locate(entry["host"], PUBLIC)
    method, path = entry["method"], entry["path"].rstrip("/")
    if place and place.plane is Plane.VAULT:
        reading = "list a vault" if path == "/secrets" else "read a secret"
        return "set a secret" if method == "PUT" else reading
    if place and place.plane is Plane.CONTROL:
        reading = "follow an operation" if "/operation" in path.lower() else "describe an account"
        return _KINDS.get(path.rpartition("/")[2].lower(), reading)
    return "try a key"


def listing(entries: Iterable[Entry]) -> float:
    """Seconds that the pages of the vault take that has most of them; nothing can begin before."""
    pages: Counter[str] = Counter()
    for entry in entries:
        if account(entry) is None:
            pages[entry["host"]] += entry["duration"]
    return max(pages.values(), default=0.0)


def by_concurrency(entries: Sequence[Entry], places: int) -> float:
    """Seconds for all chains on so many places, after the listing."""
    lengths = chains(entries).values()
    return listing(entries) + max(max(lengths, default=0.0), sum(lengths) / places)


def by_quota(entries: Iterable[Entry], speed: float) -> tuple[str, float, float]:
    """The bucket that takes longest to grant what it granted: its name, these seconds, and its pace."""
    granted: Counter[Bucket] = Counter()
    for entry in entries:
        if entry["status"] != THROTTLED:
            granted.update(buckets(_call(entry)))
    slowest = max(granted, key=lambda bucket: _seconds(bucket, granted[bucket], speed))
    return slowest[0], _seconds(slowest, granted[slowest], speed), slowest[1].per_second * speed


def share_of_quota(entries: Sequence[Entry], speed: float, wall: float) -> dict[str, Any]:
    """What was made of the bucket that bounded a run, of what it had in that time."""
    name, seconds, pace = by_quota(entries, speed)
    mine = [entry for entry in entries if name in {bucket for bucket, _ in buckets(_call(entry))}]
    granted = sum(entry["status"] != THROTTLED for entry in mine)
    burst = next(quota.burst for entry in mine for bucket, quota in buckets(_call(entry)) if bucket == name)
    return {
        "bucket": name.split(" ", 1)[1],
        "limit": seconds,
        "used": granted / (burst + pace * wall),
        "throttled": sum(entry["status"] == THROTTLED for entry in entries) / len(entries),
        "throttled_there": 1 - granted / len(mine),
    }


def _seconds(bucket: Bucket, granted: int, speed: float) -> float:
    return max(0.0, granted - bucket[1].burst) / (bucket[1].per_second * speed)


def _call(entry: Entry) -> Call:
    host = entry["host"]
    place = locate(host, PUBLIC)
    assert place is not None  # noqa: S101  the simulator has answered it
    path = entry["path"]
    return Call(place.plane, place.resource, entry["method"], host, path, {}, path, {"Authorization": ""}, b"")
