"""The time that no program could beat, from the requests that were made and the latency that each was given.

What depends on what is known: an account, its keys and its secrets can be read at the same time, and everything else
waits for what comes before it. A run takes at least as long as the longest chain, as all chains together on so many
places, and as the emptiest bucket takes to grant what was needed of it. How late a request was sent, and for how long
a busy machine kept its answer, is in the run and not in the limit.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from simulator.clouds import PUBLIC, Plane, locate
from simulator.quotas import Bucket, buckets
from simulator.wire import Call

Entry = Mapping[str, Any]
"""One request of the simulator's journal."""

THROTTLED = 429

_ACCOUNT = re.compile(
    r"(?:accounts|webpubsub)/([a-z0-9-]+)|/secrets/([a-z0-9-]+)-\d+(?:/[0-9a-f]{32})?/?$", re.IGNORECASE
)


_KINDS = {"listkeys": "list keys", "regeneratekey": "regenerate a key", "regeneratekeys": "regenerate a key"}
_WRITES = {"PUT": "set a secret", "PATCH": "amend a secret"}
_INDEPENDENT = frozenset({"describe an account", "list keys", "read a secret"})
"""What is asked at the same time, by whoever does not need one answer for the next question."""


def chains(entries: Iterable[Entry]) -> dict[str, float]:
    """Seconds of the longest chain of dependent requests, for each account."""
    by_account: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if (name := account(entry)) and entry["status"] != THROTTLED:
            by_account[name].append(entry)
    return {name: chain(requests) for name, requests in by_account.items()}


def chain(entries: Iterable[Entry]) -> float:
    """The same for the requests of one account."""
    in_order = sorted(entries, key=lambda entry: float(entry["time"]))
    stages = groupby(in_order, lambda entry: kind(entry) in _INDEPENDENT)
    return sum(
        (max if together else sum)(float(entry["latency"]) for entry in requests) for together, requests in stages
    )


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
        return _WRITES.get(method, "list a vault" if path == "/secrets" else "read a secret")
    if place and place.plane is Plane.CONTROL:
        reading = "follow an operation" if "/operation" in path.lower() else "describe an account"
        return _KINDS.get(path.rpartition("/")[2].lower(), reading)
    return "try a key"


def listing(entries: Iterable[Entry]) -> float:
    """Seconds that the pages of the vault take that has most of them; nothing can begin before."""
    pages: Counter[str] = Counter()
    for entry in entries:
        if account(entry) is None:
            pages[entry["host"]] += entry["latency"]
    return max(pages.values(), default=0.0)


def by_concurrency(entries: Sequence[Entry], places: int, listings: int = 1) -> float:
    """Seconds for all chains on so many places, after the listing, which so many processes make at the same time."""
    lengths = chains(entries).values()
    return listing(entries) / listings + max(max(lengths, default=0.0), sum(lengths) / places)


def by_quota(entries: Iterable[Entry], speed: float) -> tuple[Bucket, float]:
    """The bucket that takes longest to grant what was needed of it, and these seconds."""
    requests = needed(entries)
    slowest = max(requests, key=lambda bucket: _seconds(bucket, requests[bucket], speed))
    return slowest, _seconds(slowest, requests[slowest], speed)


def needed(entries: Iterable[Entry]) -> Counter[Bucket]:
    """How many requests each bucket had to grant: for each account as many as for the one of its service with fewest.

    What was asked again, after a pass that was given up, was granted and not needed.
    """
    taken: defaultdict[str, Counter[Bucket]] = defaultdict(Counter)
    for entry in entries:
        if entry["status"] != THROTTLED and (name := account(entry)):
            taken[name].update(buckets(_call(entry)))
    alike: defaultdict[tuple[str, Bucket], list[int]] = defaultdict(list)
    for name, requests in taken.items():
        for bucket, count in requests.items():
            alike[name.rstrip("0123456789"), bucket].append(count)
    total: Counter[Bucket] = Counter()
    for (_, bucket), counts in alike.items():
        total[bucket] += min(counts) * len(counts)
    return total


def share_of_quota(entries: Sequence[Entry], speed: float, wall: float) -> dict[str, Any]:
    """What was made of the bucket that bounded a run, of what it had in that time."""
    bucket, seconds = by_quota(entries, speed)
    name, quota = bucket
    mine = [entry for entry in entries if bucket in buckets(_call(entry))]
    granted = sum(entry["status"] != THROTTLED for entry in mine)
    return {
        "bucket": name.split(" ", 1)[1],
        "limit": seconds,
        "granted": granted,
        "needed": needed(entries)[bucket],
        "used": granted / (quota.burst + quota.per_second * speed * wall),
        "useful": seconds / wall,
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
