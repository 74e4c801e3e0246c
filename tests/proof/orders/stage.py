"""Workers of the Functions app as they run in production, with a time, leases and logs that a story is in charge of."""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from rotation import telemetry
from rotation.errors import Busy, LeaseLost
from rotation.fleet import Fleet
from rotation.model import AccountId
from rotation.ports import Clock
from rotation.triggers import Triggers
from simulator.client import ControlClient
from tests.integration.engine import Later

T = TypeVar("T")

PACE = 1000.0
"""How much shorter than it says a pass waits."""


class Together(Later):
    """The time of the engine and of Azure, which pass together."""

    def __init__(self, control: ControlClient) -> None:
        super().__init__()
        self.pace = PACE
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        """What comes of it that somebody waits."""
        self._control = control

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        if self.meanwhile:
            await self.meanwhile()
        await super().sleep(seconds)
        self._tell()

    def passes(self, time: timedelta) -> None:
        """Let time pass."""
        self.ahead += time
        self._tell()

    def _tell(self) -> None:
        self._control.behave(clock_offset=self.ahead.total_seconds())


class Apart:
    """The same time, on a machine whose clock is set ahead of Azure's, or behind it."""

    def __init__(self, clock: Clock, by: timedelta) -> None:
        self._clock = clock
        self._by = by

    def now(self) -> datetime:
        """Return the time that this machine takes it for."""
        return self._clock.now() + self._by

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._clock.sleep(seconds)


class Held:
    """A lease that is ours until it is lost."""

    def __init__(self) -> None:
        self.lost = False

    def ensure(self) -> None:
        """Raise LeaseLost unless the lease is still ours."""
        if self.lost:
            raise LeaseLost("the lease was lost, so another pass may be at work")

    def abandon(self) -> None:
        """Be free at once all the same, as it would be after a minute."""


class Leases:
    """Leases between workers, which can be lost at will.

    To the engine a lease is its port: `Busy` on entering, `LeaseLost` before a write. How a lease on a blob comes to be
    lost, by a pause, the network or an operator, is tried on blobs in the tests of the adapter; here only what a pass
    does then is at stake, and it has to happen between two requests that the story chooses.
    The lease of a worker that is killed is free at once, as it would be after a minute.
    """

    def __init__(self) -> None:
        self._held: dict[AccountId, Held] = {}

    @asynccontextmanager
    async def hold(self, account: AccountId) -> AsyncIterator[Held]:
        """Hold the account while inside; entering raises Busy when another pass has it."""
        if account in self._held:
            raise Busy(f"another pass holds {account.name}")
        lease = self._held[account] = Held()
        try:
            yield lease
        finally:
            if self._held.get(account) is lease:
                del self._held[account]

    def lose(self) -> bool:
        """Let whoever holds a lease have lost it; whether anybody did."""
        for lease in self._held.values():
            lease.lost = True
        lost = bool(self._held)
        self._held.clear()
        return lost


class Worker:
    """A process of the Functions app: it keeps its connections and listings until it is killed."""

    def __init__(self, environment: dict[str, str], clock: Clock, leases: Leases) -> None:
        self._environment = {**os.environ, **environment}
        self._clock = clock
        self._leases = leases
        self._triggers: Triggers | None = None
        self._doing: set[asyncio.Task[Any]] = set()

    async def triggers(self) -> Triggers:
        """The functions of the process that runs now."""
        if self._triggers is None:
            self._triggers = Triggers(self._environment, self._clock)
            engine = await self._triggers._engine()
            tools = replace(engine.world.tools, leases=self._leases)
            fleet = Fleet(tools, engine.world.settings.concurrency)
            self._triggers._opened = replace(
                engine,
                world=replace(engine.world, tools=tools),
                fleet=fleet,
            )
        return self._triggers

    def begins(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Let the process do something while other things go on."""
        task = asyncio.get_running_loop().create_task(work)
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)
        return task

    async def kill(self) -> None:
        """End the process and what it was doing: no request of it leaves any more, and its connections break."""
        triggers, self._triggers = self._triggers, None
        doing = [*self._doing, *(triggers._going_on if triggers else ())]
        for task in doing:
            task.cancel()
        await asyncio.gather(*doing, return_exceptions=True)
        if triggers:
            await triggers._held.aclose()


class Ear(logging.Handler):
    """Keeps what is logged, as it would be printed."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []
        self.events: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take down one record."""
        self.heard.append(self.format(record))
        if record.name == "rotation":
            self.events.append(record.getMessage())


class Stage:
    """What stories share: the simulator, one event loop, and an ear for the logs."""

    def __init__(self, control: ControlClient) -> None:
        self.control = control
        self.ear = Ear()
        self.tally = Counter[str]()
        """What happened how often, over all stories."""
        telemetry.configure()
        self._loop = asyncio.new_event_loop()
        logging.getLogger().addHandler(self.ear)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it, and let everything else that goes on go on meanwhile."""
        return self._loop.run_until_complete(work)

    def close(self) -> None:
        """End the loop and stop listening."""
        logging.getLogger().removeHandler(self.ear)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
