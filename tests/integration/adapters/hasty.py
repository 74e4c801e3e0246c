"""A clock on which waiting is short, and the adapters wired to it."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from rotation.clock import SystemClock
from rotation.settings import Settings
from rotation.wiring import World, engine

BREATH = 0.02


class Hasty:
    """The real clock, which jumps ahead over each wait but for a breath."""

    def __init__(self) -> None:
        self._real = SystemClock()
        self.waits: list[float] = []

    def now(self) -> datetime:
        """Return the real time and all waits so far."""
        return self._real.now() + timedelta(seconds=sum(self.waits))

    async def sleep(self, seconds: float) -> None:
        """Take a breath."""
        self.waits.append(seconds)
        await asyncio.sleep(BREATH)


@asynccontextmanager
async def hasty_world(**environment: str) -> AsyncIterator[tuple[World, Hasty]]:
    """Everything as in production, over the simulator, but for the waits."""
    clock = Hasty()
    async with engine(Settings.from_environment({**os.environ, **environment}), clock) as world:
        yield world, clock
