"""Azure's published quotas as token buckets: who asks too often gets 429 and is told for how long to wait.

Which bucket a request empties is documented for Key Vault and for Resource Manager's methods; that listing keys is a
write for Resource Manager and a read for the Storage resource provider is what the errors of both say.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from aiohttp import web

from simulator.accounts import STORAGE
from simulator.clouds import Plane
from simulator.wire import Call


@dataclass(frozen=True, slots=True)
class Quota:
    """So many requests at once, and so many a second in the long run."""

    requests: float
    seconds: float
    burst: float

    @property
    def per_second(self) -> float:
        """How quickly the bucket fills."""
        return self.requests / self.seconds


def _window(requests: float, seconds: float) -> Quota:
    return Quota(requests, seconds, requests)


VAULT_CREATE = _window(300, 10)
VAULT_OTHER = _window(4000, 10)
VAULTS_OF_A_SUBSCRIPTION = 5
"""All vaults of a subscription together may be asked as often as so many of them."""

ARM = {"reads": Quota(25, 1, 250), "writes": Quota(10, 1, 200), "deletes": Quota(10, 1, 200)}
STORAGE_PROVIDER = {
    "read": (_window(800, 5 * 60),),
    "list": (_window(100, 5 * 60),),
    "write": (_window(10, 1), _window(1200, 60 * 60)),
}

Bucket = tuple[str, Quota]
"""The name of a bucket, and what it holds."""


@dataclass(slots=True)
class Quotas:
    """The buckets of one world; they are full when it begins."""

    _levels: dict[tuple[str, Quota], tuple[float, float]] = field(default_factory=dict)

    def refuse(self, call: Call, now: float, speed: float) -> int | None:
        """Seconds to wait, when one of the call's buckets is empty; else the call takes from each.

        The buckets fill `speed` times as quickly as Azure's. A refused call takes nothing.
        """
        levels = {bucket: self._level(bucket, now, speed) for bucket in buckets(call)}
        if waits := [(1 - level) / (quota.per_second * speed) for (_, quota), level in levels.items() if level < 1]:
            return max(1, math.ceil(max(waits)))
        self._levels |= {bucket: (level - 1, now) for bucket, level in levels.items()}
        return None

    def refill(self) -> None:
        """Let every bucket be full."""
        self._levels.clear()

    def _level(self, bucket: Bucket, now: float, speed: float) -> float:
        _, quota = bucket
        level, since = self._levels.get(bucket, (quota.burst, now))
        return min(quota.burst, level + (now - since) * quota.per_second * speed)


def buckets(call: Call) -> Iterator[Bucket]:
    """The buckets that a call takes from; none for the data planes, and for signing in with a vault's challenge."""
    if "Authorization" not in call.headers:
        return
    if call.plane is Plane.VAULT:
        yield from _of_vault(call)
    elif call.plane is Plane.CONTROL:
        yield from _of_control(call)


def throttled(answer: web.Response, seconds: int) -> web.Response:
    """The service's own 429, with the time to wait."""
    answer.headers["Retry-After"] = str(seconds)
    return answer


def _of_vault(call: Call) -> Iterator[Bucket]:
    kind, quota = ("create", VAULT_CREATE) if call.method == "PUT" else ("other", VAULT_OTHER)
    yield f"{call.resource} {kind}", quota
    many = VAULTS_OF_A_SUBSCRIPTION
    yield f"vaults {kind}", Quota(quota.requests * many, quota.seconds, quota.burst * many)


def _of_control(call: Call) -> Iterator[Bucket]:
    parts = [part.lower() for part in call.segments]
    if len(parts) < 2 or parts[0] != "subscriptions":  # noqa: PLR2004  # /subscriptions/{id}
        return
    kind = {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}.get(call.method, "writes")
    yield f"{parts[1]} {kind}", ARM[kind]
    if STORAGE.resource_type.lower() in call.path.lower():
        kind = _kind_for_storage(call.method, parts)
        for quota in STORAGE_PROVIDER[kind]:
            yield f"{parts[1]} storage {kind}", quota


def _kind_for_storage(method: str, parts: list[str]) -> str:
    if parts[-1] == "listkeys":
        return "read"
    if method != "GET":
        return "write"
    return "list" if parts[-1] == "storageaccounts" else "read"
