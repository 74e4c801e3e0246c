"""How quickly to ask: freely, until a quota is exceeded; then as quickly as that quota has been seen to allow.

A service that refuses with 429 has an empty bucket at that moment. What it granted since the refusal before is thus
what came in meanwhile, and that is the pace from then on. It grows a little all the time, so that it finds out when
there is more to have; who has had nothing to ask for a while is free again.
"""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from rotation.errors import Throttled
from rotation.ports import Clock

LONGEST_PAUSE = 30.0
"""Seconds; who is asked to wait for longer sends one request after so long, and asks again."""
_USUAL_PAUSE = 1.0
"""Seconds, where the service does not say how long."""
_GROWTH_UNMEASURED, _GROWTH = 2.0, 1.02
"""By how much the pace grows in a second: before and after the quota has been measured."""
_MEASURING = 2
"""So many grants between two refusals are a rate; fewer say only that the quota is used up at the moment."""
_LONGEST_GROWTH = 600.0
"""Seconds; what has not been refused for so long is all but free."""
_IDLE = timedelta(seconds=30)
"""After so long without a request a pace is forgotten: buckets are full again, and others may have left."""
_RESOURCE = re.compile(r"/subscriptions/([^/]+)/.*?/providers/([^/]+)/", re.IGNORECASE)


class Unsent(Throttled):
    """A request waited for too long, and was not sent."""

    sent = False


class Pace:
    """The pace of the requests that one quota bounds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queue, self._front = asyncio.Lock(), asyncio.Lock()
        self._out = 0
        self._granted = 0
        self._rate: float | None = None
        """Requests per second at the last refusal; None while nothing was refused."""
        self._growth = _GROWTH_UNMEASURED
        self._refused = self._next = self._clock.now()

    @property
    def free(self) -> bool:
        """Whether nobody has to wait."""
        return self._rate is None

    async def turn(self, *, first: bool, patience: float | None = None) -> datetime:
        """Wait until a request may be sent, and tell when that is.

        Those that go `first` go before the others. Raises Unsent after `patience` seconds.
        """
        if not self.free:
            try:
                async with asyncio.timeout(patience):
                    await self._wait(first=first)
            except TimeoutError:
                raise Unsent("too many requests wait for the same quota; nothing was sent", _USUAL_PAUSE) from None
        return self._clock.now()

    @contextmanager
    def out(self) -> Iterator[None]:
        """Count a request that is under way."""
        self._out += 1
        try:
            yield
        finally:
            self._out -= 1

    def granted(self) -> None:
        """Take note of an answer that is no refusal."""
        self._granted += 1

    def refused(self, asked: datetime, retry_after: float | None) -> None:
        """Slow down; what was asked before another refusal came tells nothing new."""
        now = self._clock.now()
        pause = min(retry_after or _USUAL_PAUSE, LONGEST_PAUSE)
        if asked > now:
            # The clock was set back meanwhile.
            self._forget(now)
        if self._rate is None:
            self._begin(now, (self._out + 1) / pause)
        elif asked > self._refused:
            # Hardly anything was granted: others have the quota. How long it lasts the service says, not the pace.
            others = bool(retry_after) and self._granted < _MEASURING
            self._begin(now, self._rate if others else self._measured(now))
            self._growth = _GROWTH
        self._next = max(self._next, now + timedelta(seconds=pause))

    def _begin(self, now: datetime, rate: float) -> None:
        self._refused, self._rate, self._granted = now, rate, 0

    def _measured(self, now: datetime) -> float:
        return min(self._pace(now), max(self._granted, 1) / (now - self._refused).total_seconds())

    def _pace(self, now: datetime) -> float:
        since = max(0.0, (now - self._refused).total_seconds())
        grown: float = self._growth ** min(since, _LONGEST_GROWTH)
        return (self._rate or 0.0) * grown

    def _forget(self, now: datetime) -> None:
        self._rate, self._growth = None, _GROWTH_UNMEASURED
        self._refused = self._next = now

    async def _wait(self, *, first: bool) -> None:
        # Of those in the queue one at a time stands at the front; who goes first comes there directly.
        async with nullcontext() if first else self._queue, self._front:
            now = self._clock.now()
            while not self.free and (wait := (self._next - now).total_seconds()) > 0:
                if wait > LONGEST_PAUSE + 1 / self._pace(now):
                    # The clock was set back.
                    self._forget(now)
                    return
                await self._clock.sleep(wait)
                now = self._clock.now()
            if self.free or now - self._next > _IDLE:
                self._forget(now)
            else:
                self._next = now + timedelta(seconds=1 / self._pace(now))


class Paces:
    """A pace for each quota that requests have met."""

    def __init__(self) -> None:
        self._paces: dict[tuple[str, ...], Pace] = {}

    def of(self, method: str, url: str, clock: Clock) -> Pace:
        """The pace for a kind of request to one vault, or to one provider in one subscription.

        A POST is of the kind that its path ends in: for Storage, listing keys is a read and regenerating one a write.
        """
        parts = urlsplit(url)
        resource = _RESOURCE.match(parts.path)
        kind = parts.path.rpartition("/")[2].lower() if method == "POST" else method
        quota = (kind, *(resource.groups() if resource else (parts.netloc,)))
        return self._paces.get(quota) or self._paces.setdefault(quota, Pace(clock))
