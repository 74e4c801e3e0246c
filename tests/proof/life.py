"""A few months in the life of three accounts under the functions of two workers; told by what happens to Azure."""

import asyncio
import json
import os
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from rotation.errors import Transient
from rotation.triggers import Triggers
from simulator.client import ControlClient
from tests.functions.events import current_version, event_grid
from tests.integration.engine import Later
from tests.integration.estates import FORMATS, NAMES, SERVICES, publication

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
VAULT = "kv-one"
SECRETS = {service: f"{service}-secret" for service in SERVICES}
OVERLAP = 2 * DAY
GRACE = HOUR


def one_of_each(**told: Any) -> dict[str, Any]:
    """An account of each service, all due, each published once; `told` has more about the secrets."""
    return {
        "accounts": [{"type": s, "name": NAMES[s], "resource_group": "rg-one"} for s in SERVICES],
        "vaults": [{"name": VAULT, "secrets": [publication(s, SECRETS[s], FORMATS[s][0], **told) for s in SERVICES]}],
    }


def retiring() -> dict[str, Any]:
    """The same, with the shortest `retire-after` that there may be, so that every promise is tried at its end."""
    estate = one_of_each()
    for service, secret in zip(SERVICES, estate["vaults"][0]["secrets"], strict=True):
        secret["tags"]["rotation-policy"] = f"format={FORMATS[service][0]};retire-after=P2D"
    return estate


@dataclass(frozen=True, slots=True)
class Worker:
    """The functions of one process, and its clock."""

    triggers: Triggers
    clock: Later


@dataclass(frozen=True, slots=True)
class Story:
    """Everything a chapter may do: one worker hears of something, the other one works."""

    hears: Worker
    works: Worker
    versions: dict[str, str] = field(default_factory=dict)
    """The version of each secret that the last event spoke of."""

    def turned(self) -> "Story":
        """The same with the workers in each other's place."""
        return Story(self.works, self.hears, self.versions)

    async def sweep(self) -> None:
        """A sweep, and the work that it finds."""
        await self._work(await self.hears.triggers.sweep())

    async def audit(self) -> None:
        """A full look at every account."""
        await self._work(await self.hears.triggers.audit())

    async def announcement(self) -> None:
        """Key Vault says of every secret that it is about to expire."""
        self.versions.update({name: current_version(VAULT, name) for name in SECRETS.values()})
        await self.echo()

    async def echo(self) -> None:
        """The last announcement comes once more."""
        events = [event_grid(VAULT, name, version) for name, version in self.versions.items()]
        await self._work([m for e in events if (m := await self.hears.triggers.near_expiry(e))])

    async def leak(self) -> None:
        """Every published key is found in a public place."""
        for name in SECRETS.values():
            await self._declare(name)

    async def _declare(self, name: str) -> None:
        """Ask again, with the same id, as long as waiting helps."""
        body = json.dumps({"compromised": "active", "grace": "PT1H", "request_id": str(uuid.uuid4())}).encode()
        while True:
            reply = await self.works.triggers.rotate_now({"vault": VAULT, "secret": name}, {}, body)
            if reply.status != HTTPStatus.SERVICE_UNAVAILABLE:
                break
        assert reply.status in (HTTPStatus.OK, HTTPStatus.ACCEPTED)
        await self._work([reply.message] if reply.message else [])

    async def _work(self, messages: list[str]) -> None:
        await asyncio.gather(*(self._deliver(message.encode()) for message in messages))

    async def _deliver(self, message: bytes) -> None:
        """Bring a message again and again, as the queue does while waiting helps."""
        while True:
            try:
                return await self.works.triggers.rotate_account(message)
            except Transient:
                await self.works.clock.sleep(10)


Chapter = tuple[timedelta, Callable[[Story], Awaitable[None]]]
LEAK = 60 * DAY

CHAPTERS: dict[str, Chapter] = {
    "all keys are due": (timedelta(), Story.sweep),
    "they have just been rotated": (HOUR, Story.sweep),
    "they have been rotated a day ago": (DAY, Story.sweep),
    "the previous keys are promised for five more minutes": (OVERLAP - 5 * MINUTE, Story.audit),
    "the previous keys were promised until half an hour ago": (OVERLAP + 30 * MINUTE, Story.sweep),
    "Key Vault announces the end of keys that have lived half their life": (46 * DAY, Story.announcement),
    "Key Vault announces it once more": (46 * DAY + HOUR, Story.echo),
    "the keys before those are retired": (50 * DAY, Story.sweep),
    "all keys leak": (LEAK, Story.leak),
    "the grace is half over": (LEAK + GRACE / 2, Story.sweep),
    "the grace is over": (LEAK + 3 * GRACE / 2, Story.sweep),
    "all keys are due again": (LEAK + 61 * DAY, Story.sweep),
}
"""When something happens, and what."""

ROTATED = Counter({"regenerate": 3, "PUT": 3})
RETIRED = Counter({"regenerate": 3, "PATCH": 3})
NOTHING: Counter[str] = Counter()
EXPECTED = dict(
    zip(
        CHAPTERS,
        (ROTATED, NOTHING, NOTHING, NOTHING, RETIRED, ROTATED, NOTHING, RETIRED, ROTATED, NOTHING, RETIRED, ROTATED),
        strict=True,
    )
)


@dataclass(frozen=True, slots=True)
class Clocks:
    """How far the clocks of the vault and of two workers are ahead of the right time."""

    vault: timedelta = timedelta()
    one: timedelta = timedelta()
    other: timedelta = timedelta()


async def live(
    azure: ControlClient, clocks: Clocks, begin: timedelta = timedelta(), clock: Callable[[], Later] = Later
) -> dict[str, Counter[str]]:
    """Live through all chapters, the first of them in `begin`, and tell for each what was changed how often."""
    told = {}
    async with AsyncExitStack() as held:
        workers = [Worker(Triggers(dict(os.environ), moment := clock()), moment) for _ in range(2)]
        for worker in workers:
            worker.clock.pace = 20
            held.push_async_callback(worker.triggers.close)
        hears, works = workers
        story = Story(hears, works)
        for title, (after, happens) in CHAPTERS.items():
            azure.behave(clock_offset=(begin + after + clocks.vault).total_seconds())
            for worker, ahead in zip(workers, (clocks.one, clocks.other), strict=True):
                worker.clock.ahead = begin + after + ahead
            n = last(azure)
            await happens(story)
            told[title] = Counter(map(kind, changes(azure, n)))
            assert [] == [row for row in azure.verdict() if not row["opens"]], title
            story = story.turned()
    return told


def changes(azure: ControlClient, since: int = 0) -> list[dict[str, Any]]:
    """The requests numbered above `since` that changed a key or a secret."""
    done = (entry for entry in azure.journal(since) if entry["status"] in (HTTPStatus.OK, HTTPStatus.ACCEPTED))
    return [entry for entry in done if kind(entry) in ("regenerate", "PUT", "PATCH")]


def kind(entry: dict[str, Any]) -> str:
    """What a request does."""
    return "regenerate" if "/regenerate" in entry["path"].lower() else str(entry["method"])


def last(azure: ControlClient) -> int:
    """The number of the last request, 0 before the first."""
    return max((int(entry["n"]) for entry in azure.journal()), default=0)
