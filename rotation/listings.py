"""One listing of the vaults for all work that arrives at about the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from rotation.ports import Clock

FRESH = timedelta(seconds=30)
"""How long one listing serves the work of a process."""

T = TypeVar("T")


class Listings(Generic[T]):
    """Listings that passes share: one serves the work that was asked for before it, for as long as it is fresh.

    Work tells which secrets published its account when it was asked for. One that was added since may hold the other
    key, so a pass always begins with a listing; it is the price of a listing for all that arrives within `FRESH`.
    A pass may need another one under its lease, and shares that with the passes that need one meanwhile.
    """

    def __init__(self, survey: Callable[[], Awaitable[T]], clock: Clock) -> None:
        self._survey = survey
        self._clock = clock
        self._lock = asyncio.Lock()
        self._last: tuple[datetime, datetime, T] | None = None

    async def since(self, asked: datetime) -> T:
        """A fresh listing that was begun after `asked`."""
        async with self._lock:
            if self._last is not None:
                begun, ended, survey = self._last
                # One from the future was made before the clock was set back, nobody knows how long ago.
                if begun >= asked and timedelta() <= self._clock.now() - ended < FRESH:
                    return survey
            begun, survey = self._clock.now(), await self._survey()
            self._last = begun, self._clock.now(), survey
            return survey
