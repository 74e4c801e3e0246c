"""Further instances of the app beside the one that is loaded: each has its own connections, tokens and leases."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import pytest

from rotation import telemetry
from rotation.cloud.lease import BlobLease, BlobLeases
from rotation.ports import Clock
from rotation.replies import Reply
from rotation.triggers import PATIENCE, Triggers
from tests.heard import note

SHORTEST = 15
"""Seconds of the shortest lease that the blob service gives."""


class _Heard(Triggers):
    """The functions, whose answers and messages are searched for keys in the end."""

    async def sweep(self, *, late: bool = False) -> list[str]:
        messages: list[str] = note(await super().sweep(late=late))
        return messages

    async def audit(self, *, late: bool = False) -> list[str]:
        messages: list[str] = note(await super().audit(late=late))
        return messages

    async def near_expiry(self, event: Mapping[str, object]) -> str | None:
        message: str | None = note(await super().near_expiry(event))
        return message

    async def rotate_now(self, route: Mapping[str, str], query: Mapping[str, str], body: bytes) -> Reply:
        reply: Reply = note(await super().rotate_now(route, query, body))
        return reply

    async def status(self, query: Mapping[str, str]) -> Reply:
        reply: Reply = note(await super().status(query))
        return reply


@asynccontextmanager
async def instance(
    clock: Clock | None = None, patience: float = PATIENCE, **environment: str
) -> AsyncIterator[Triggers]:
    """What the functions call in another instance, with settings that differ from those of the loaded one."""
    telemetry.configure()
    triggers = _Heard({**os.environ, **environment}, clock, patience=patience)
    try:
        yield triggers
    finally:
        await triggers.close()


@contextmanager
def invoked(triggers: Triggers) -> Iterator[None]:
    """Let what is invoked inside run in another instance."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("function_app.triggers", lambda: triggers)
        yield


async def shorten_leases(triggers: Triggers, pause: float) -> None:
    """Let its leases be as short as can be, and be renewed every `pause` seconds."""
    leases = (await triggers._engine()).world.tools.leases
    assert isinstance(leases, BlobLeases)
    leases._seconds, leases._pause = SHORTEST, pause


def renewing() -> bool:
    """Whether some pass renews its lease; it stops when it knows that the lease is lost."""
    coroutines = (task.get_coro() for task in asyncio.all_tasks())
    return any(getattr(found, "__qualname__", "") == BlobLease.keep.__qualname__ for found in coroutines)
