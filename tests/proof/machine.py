"""A machine on which passes run as if each were a process of its own, and whose time can stand still, or leap.

What a process of ours has to itself is made anew for each pass: SDK clients with what they cache, tokens, and leases.
The machine lends it sockets, which remember nothing and cost more than all the rest.
"""

import asyncio
import os
import selectors
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import aiohttp
from azure.keyvault.secrets._shared import http_challenge_cache

from rotation.clock import SystemClock
from rotation.cloud.connection import Connection, connect
from rotation.cloud.credential import open_credential
from rotation.cloud.lease import BlobLeases, InProcessLeases
from rotation.cloud.pace import Paces
from rotation.cloud.transport import Transport
from rotation.cloud.vault import KeyVault
from rotation.fleet import Fleet
from rotation.ports import Tools
from rotation.providers import all_providers
from rotation.report import Report
from rotation.settings import Settings
from simulator.client import ControlClient
from tests.proof.stories import Visit

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds in which a request has to come."""

READ_SECONDS = 20.0
"""Seconds in which a token has to come, before it is asked for again."""

IDLE = 0.002
"""Seconds without an event after which a hasty loop looks whether anything is still to come."""


class Loop(asyncio.SelectorEventLoop):
    """An event loop that, when it is hasty, leaps over the time in which nothing happens, to the next pause that ends.

    So the SDKs' own pauses and time-outs, which no clock of ours reaches, take no time and are yet complete.
    """

    def __init__(self) -> None:
        self.hasty = False
        self.idle = IDLE
        """Seconds that a leap takes."""
        self._stalled: Callable[[], int] = _none
        self._in_the_air = 0
        self._broken = 0
        self._leapt = 0.0
        self._sockets = _Selector(self)
        super().__init__(self._sockets)

    @property
    def leapt(self) -> timedelta:
        """The time that was leapt over so far."""
        return timedelta(seconds=self._leapt)

    def time(self) -> float:
        """Seconds, those included that were leapt over."""
        return super().time() + self._leapt

    def leap(self, seconds: float) -> None:
        """Let time have passed."""
        self._leapt += seconds

    async def until_closed(self) -> None:
        """Wait for the ends of connections that were told to close; only the loop's own socket stays."""
        while len(self._sockets.get_map()) > 1:  # noqa: ASYNC110  nothing tells that a transport is closed
            await asyncio.sleep(IDLE)
        await asyncio.sleep(0)

    def expect(self, stalled: Callable[[], int]) -> None:
        """Learn who tells how many of the requests from now on were stalled."""
        self._stalled, self._broken = stalled, 0

    def is_forsaken(self) -> bool:
        """Whether nothing is to be awaited but time: every request has its answer, or is stalled."""
        return not self._in_the_air or self._in_the_air == self._stalled() - self._broken

    def watch(self, session: aiohttp.ClientSession) -> None:
        """Count the session's requests that are in the air, and those that came to nothing."""

        async def sent(*_: object) -> None:
            self._in_the_air += 1

        async def answered(*_: object) -> None:
            self._in_the_air -= 1

        async def broken(*_: object) -> None:
            self._in_the_air -= 1
            self._broken += 1

        config = aiohttp.TraceConfig()
        config.on_request_start.append(sent)
        config.on_request_end.append(answered)
        config.on_request_exception.append(broken)
        config.freeze()
        session.trace_configs.append(config)


def _none() -> int:
    return 0


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: Loop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        idle = self._loop.idle
        if not self._loop.hasty or timeout is None or timeout <= idle:
            return super().select(timeout)
        events = super().select(idle)
        if not events and self._loop.is_forsaken():
            self._loop.leap(timeout - idle)
        return events


class _Clock:
    """The clock of one pass: `ahead` of the machine's at first, and going with its loop."""

    def __init__(self, ahead: timedelta) -> None:
        self._loop = asyncio.get_running_loop()
        self._began = SystemClock().now() + ahead - timedelta(seconds=self._loop.time())

    def now(self) -> datetime:
        """Return the time of the pass."""
        return self._began + timedelta(seconds=self._loop.time())

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class EndedBeforeError(AssertionError):
    """A pass was to die at a request that it never came to."""


@dataclass(frozen=True, slots=True)
class Machine:
    """An event loop that runs only when told to, with sockets and tokens."""

    runner: asyncio.Runner
    connection: Connection
    settings: Settings

    @property
    def loop(self) -> Loop:
        """The event loop of the runner."""
        loop = self.runner.get_loop()
        assert isinstance(loop, Loop)
        return loop

    def run(self, work: Coroutine[Any, Any, T], *, hasty: bool = False) -> T:
        """Let time pass until the work is done; whatever else was going on goes on meanwhile, and then stands still."""
        self.loop.hasty = hasty
        try:
            return self.runner.run(work)
        finally:
            self.loop.hasty = False

    def rotate(self, visit: Visit, stalled: Callable[[], int] = _none) -> Report:
        """One pass, to its end, in haste; `stalled` tells how many of its requests were."""
        self.loop.expect(stalled)
        return self.run(self._rotate(visit), hasty=True)

    def die(self, visit: Visit, simulator: ControlClient, *stalls: str) -> asyncio.Task[Report]:
        """Begin a pass, and stop the machine as soon as every one of the stalls has struck; raises EndedBeforeError."""
        self.loop.expect(_none)

        def struck() -> bool:
            return all(simulator.hits(stall, PATIENCE) for stall in stalls)

        async def live() -> asyncio.Task[Report]:
            doomed = asyncio.create_task(self._rotate(visit))
            watch = asyncio.create_task(asyncio.to_thread(struck))
            await asyncio.wait({doomed, watch}, return_when=asyncio.FIRST_COMPLETED)
            if doomed.done():
                await asyncio.wait([watch])
                raise EndedBeforeError("the pass did not come to the request at which it was to die")
            return doomed

        return self.run(live(), hasty=True)

    def bury(self, dead: asyncio.Task[Report]) -> None:
        """Clear a dead pass away, once nobody looks at its world any more."""

        async def end() -> None:
            await asyncio.wait([dead])

        dead.cancel()
        self.run(end())

    async def _rotate(self, visit: Visit) -> Report:
        async with self._process(visit.ahead) as tools:
            fleet = Fleet(tools)
            survey = await fleet.survey()
            groups = survey.groups if visit.every else fleet.sift(survey, visit.request)[0]
            # What comes out of the queue has its keys with it.
            settled = visit.request.suspects is not None
            meant = {} if settled else await fleet.identified(groups, visit.request)
            return await fleet.rotate(survey, groups, visit.request, meant=meant)

    @asynccontextmanager
    async def _process(self, ahead: timedelta) -> AsyncIterator[Tools]:
        # The SDK keeps what vaults have asked for in the module, as if for the life of a process.
        http_challenge_cache.clear()
        settings, transport = self.settings, Transport(self.connection.session, READ_SECONDS)
        async with open_credential(settings.cloud, settings.client_id, transport) as credential:
            yield self._tools(replace(self.connection, clock=_Clock(ahead), credential=credential, paces=Paces()))

    def _tools(self, connection: Connection) -> Tools:
        leases = self.settings.leases
        return Tools(
            vaults={name: KeyVault(name, url, connection) for name, url in self.settings.vaults.items()},
            providers=all_providers(connection, self.settings.own_storage),
            leases=BlobLeases(leases, connection) if leases else InProcessLeases(),
            clock=connection.clock,
            limits=self.settings.limits,
        )


async def _close(held: AsyncExitStack) -> None:
    await held.aclose()
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Loop)
    await loop.until_closed()


@contextmanager
def machine(vaults: list[str], **environment: str) -> Iterator[Machine]:
    """Start a machine; `environment` has further settings of its passes."""
    settings = Settings.from_environment({**os.environ, "ROTATION_VAULTS": ",".join(vaults), **environment})
    with asyncio.Runner(loop_factory=Loop) as runner:
        held = AsyncExitStack()
        try:
            opening = held.enter_async_context(connect(settings.cloud, settings.client_id, SystemClock()))
            made = Machine(runner, runner.run(opening), settings)
            made.loop.watch(made.connection.session)
            yield made
        finally:
            runner.run(_close(held))
