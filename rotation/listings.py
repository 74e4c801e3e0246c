"""One listing of the vaults for all work that arrives at about the same time."""

import asyncio
from datetime import datetime, timedelta

from rotation.fleet import Fleet, Survey
from rotation.ports import Clock

FRESH = timedelta(seconds=30)
"""How long one listing serves the work of a process."""


class Listings:
    """Listings that passes share: one serves the work that was asked for before it, for as long as it is fresh.

    Work tells which secrets published its account when it was asked for. One that was added since may hold the other
    key, so a pass always begins with a listing; it is the price of a listing for all that arrives within `FRESH`.
    """

    def __init__(self, fleet: Fleet, clock: Clock) -> None:
        self._fleet = fleet
        self._clock = clock
        self._lock = asyncio.Lock()
        self._last: tuple[datetime, datetime, Survey] | None = None

    async def since(self, asked: datetime) -> Survey:
        """A fresh listing that was begun after `asked`."""
        async with self._lock:
            if self._last is not None:
                begun, ended, survey = self._last
                # One from the future was made before the clock was set back, nobody knows how long ago.
                if begun >= asked and timedelta() <= self._clock.now() - ended < FRESH:
                    return survey
            begun, survey = self._clock.now(), await self._fleet.survey()
            self._last = begun, self._clock.now(), survey
            return survey
