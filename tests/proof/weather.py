"""Months in which keys rotate as often as they may, in bad weather, while applications use them."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

from rotation.errors import Transient
from rotation.triggers import DELIVERIES, Triggers
from simulator.client import ControlClient
from tests.functions.estate import SETTINGS
from tests.functions.events import event_grid
from tests.integration.engine import Later
from tests.integration.estates import NAMES, SERVICES, publication
from tests.proof.consumers import PAUSE, Application, Calendar, applications
from tests.proof.life import SECRETS, VAULT

HOUR = timedelta(hours=1)
OVERLAP = 60 * HOUR
KEEPS = (timedelta(), OVERLAP / 2, OVERLAP)
"""How long applications keep what they read; each of the three services has one of each kind."""

FORMS = {"storage": "connection-string", "batch": "json", "webpubsub": "connection-string"}

OURS = {"ROTATION_VAULTS": VAULT, "ROTATION_OVERLAP": "PT60H", "ROTATION_PROBE_TIMEOUT": "PT3S"}
"""Half a key's life is over before the overlap is, so that Key Vault asks for the next one too soon."""

PACE = 5
"""How many times faster than everybody else's the worker's clock goes while it waits."""
LONG = 1.0
"""Seconds after which the worker has given up waiting for a new key to be accepted."""
REDELIVERY = 0.1

PLACES: tuple[dict[str, Any], ...] = (
    {"host": "^management", "path": "/listKeys$"},
    {"host": "^management", "path": "/regenerateKeys?$"},
    {"host": "^management", "path": "/regenerateKeys?$"},
    {"host": "^management"},
    {"host": VAULT, "method": "PUT"},
    {"host": VAULT, "method": "PATCH"},
    {"host": VAULT, "path": "^/secrets/?$"},
)
"""What the worker asks for, and no application."""

MISHAPS: tuple[dict[str, Any], ...] = (
    *({"status": status} for status in (403, 409, 412, 500, 503, 504)),
    {"status": 429, "retry_after": 1},
    {"cut": True},
    {"delay": 0.5},
)


@dataclass(slots=True)
class Tally:
    """What there was."""

    rotations: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    faults: int = 0
    requests: int = 0
    readings: int = 0
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line for people."""
        rotations = ", ".join(f"{self.rotations[service]} of {service}" for service in SERVICES)
        return (
            f"{self.requests} requests with {self.readings} values, {len(self.failures)} failed; "
            f"rotations: {rotations}; {self.faults} faults, {self.steps} steps"
        )


def estate() -> dict[str, Any]:
    """An account of each service, each published once, with keys that live for four days."""
    secrets = []
    for service, form in FORMS.items():
        tags = {"validity-days": "4", "rotation-policy": f"format={form};rotate-before=P1D"}
        secrets.append(publication(service, SECRETS[service], form, created="P3D", expires="P1D", tags=tags))
    return {
        "accounts": [{"type": s, "name": NAMES[s], "resource_group": "rg-one"} for s in SERVICES],
        "vaults": [{"name": VAULT, "secrets": secrets}],
    }


class Weather:
    """What happens on each day, all by chance, and the worker that has to cope with it."""

    def __init__(self, azure: ControlClient, storage: str, seed: int) -> None:
        """Begin with keys that are all due; leases are in `storage`."""
        azure.reset(estate())
        self.tally = Tally()
        self._azure = azure
        self._random = Random(seed)  # noqa: S311  it is no secret
        self._calendar = Calendar()
        self._clock = Later()
        self._clock.pace = PACE
        self._triggers = Triggers({**os.environ, **SETTINGS, **OURS, "AzureWebJobsStorage": storage}, self._clock)
        self._slots = self._published()

    async def last(self, going_on: Callable[[Tally], bool]) -> Tally:
        """Let days pass, and applications use the accounts all the while."""
        apps: list[Application] = []
        try:
            async with applications(VAULT, SECRETS, KEEPS, self._calendar) as apps:
                while going_on(self.tally):
                    await self._step(apps)
                    self.tally.steps += 1
        finally:
            self._count_requests(apps)
            await self._triggers.close()
        return self.tally

    async def _step(self, apps: list[Application]) -> None:
        await self._let_hours_pass()
        await self._everybody_is_served(apps)
        faults = self._misfortune()
        messages = [*await self._triggers.sweep(), *await self._announcements(apps)]
        await asyncio.gather(*map(self._deliver, messages))
        self.tally.faults += sum(map(self._azure.hits, faults))
        self._azure.lift()
        self._count_rotations()
        await self._everybody_is_served(apps)

    async def _everybody_is_served(self, apps: list[Application]) -> None:
        """Wait until each application had an answer to something that it asked from now on."""
        before = [app.requests for app in apps]
        while any(app.requests < count + 2 for app, count in zip(apps, before, strict=True)):  # noqa: ASYNC110
            await asyncio.sleep(PAUSE)

    async def _let_hours_pass(self) -> None:
        chance = self._random
        async with self._calendar.turn(self._calendar.now + chance.uniform(10, 18) * HOUR) as now:
            self._azure.behave(
                clock_offset=now.total_seconds(),
                propagation_delay=chance.choice((0, 0.2, 0.4, LONG)),
                operation_seconds=chance.choice((0.1, 0.3, 0.6, LONG)),
            )
            self._clock.ahead = now

    def _misfortune(self) -> list[str]:
        chance = self._random
        return [
            self._azure.fault(
                **chance.choice(PLACES),
                **chance.choice(MISHAPS),
                when=chance.choice(("before", "after")),
                skip=chance.randrange(2),
                times=chance.choice((1, 1, 1, 2)),
            )
            for _ in range(chance.randrange(3))
        ]

    async def _announcements(self, apps: list[Application]) -> list[str]:
        """Key Vault says of every key that it is about to expire, as it is from the first day on."""
        current = {app.service: app.version for app in apps if not app.keeps}
        events = [event_grid(VAULT, SECRETS[service], version) for service, version in current.items()]
        return [message for event in events if (message := await self._triggers.near_expiry(event))]

    async def _deliver(self, message: str) -> None:
        """Bring a message as often as the queue does."""
        for delivery in range(1, DELIVERIES + 1):
            try:
                await self._triggers.rotate_account(message.encode(), delivery)
                break
            except Transient:
                await asyncio.sleep(REDELIVERY)

    def _published(self) -> dict[str, str]:
        return {row["secret"]: row["slot"] for row in self._azure.verdict()}

    def _count_requests(self, apps: list[Application]) -> None:
        self.tally.requests = sum(app.requests for app in apps)
        self.tally.readings = sum(app.readings for app in apps)
        self.tally.failures = [failure for app in apps for failure in app.failures]

    def _count_rotations(self) -> None:
        """A key lives longer than a step, so none is missed."""
        before, self._slots = self._slots, self._published()
        self.tally.rotations.update(s for s, name in SECRETS.items() if before[name] != self._slots[name])
