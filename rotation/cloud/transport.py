"""How requests leave: through the proxy of the environment, and no quicker than the service allows."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from azure.core.pipeline.transport import AioHttpTransport

from rotation.cloud.pace import LONGEST_PAUSE, Paces
from rotation.cloud.translate import seconds_to_wait
from rotation.errors import Unexpected
from rotation.ports import Clock, Lease
from rotation.quoting import without_keys

_CONNECT_SECONDS = 5
_REPETITIONS = 3
"""How often a request that was refused for a quota is sent again."""
_PATIENCE = 5.0
"""Seconds for which a request waits that is sent once: its lease goes on meanwhile."""

_PORTS = {"https": 443, "http": 80}
_LONGEST_PLACE = 200

_leaving: ContextVar[Lease | None] = ContextVar("leaving", default=None)
"""The lease of the request that is on its way out: who makes its connection is not given it otherwise."""


def once(lease: Lease) -> Mapping[str, Any]:
    """Options of a call that is sent once, while the lease is held: repeated, it might undo what came since."""
    return {"retry_total": 0, "lease": lease}


def ensure_leave() -> None:
    """Raise LeaseLost for a request whose lease has ended; others need none."""
    if (lease := _leaving.get()) is not None:
        lease.ensure()


class Transport(AioHttpTransport):  # type: ignore[misc]  # the SDK imports it lazily, so it has no type
    """The SDK's transport over a session of ours.

    Which proxy leads to a host is found out once: aiohttp would read the environment and ~/.netrc for every request.
    """

    def __init__(self, session: aiohttp.ClientSession, read_seconds: float) -> None:
        super().__init__(
            session=session, session_owner=False, connection_timeout=_CONNECT_SECONDS, read_timeout=read_seconds
        )

    async def send(self, request: Any, **options: Any) -> Any:  # noqa: ANN401  requests of the SDK's old kind and new
        """Send a request and return the answer."""
        parts = urlsplit(request.url)
        options.setdefault("proxy", _proxy(parts.scheme, parts.hostname or ""))
        return await super().send(request, **options)


class PartingTransport(Transport):
    """The same for a host that is asked once in a rotation: a fleet would keep a connection to each of its accounts."""

    async def send(self, request: Any, **options: Any) -> Any:  # noqa: ANN401  as above
        """Send a request and return the answer; the service closes the connection behind it."""
        request.headers["Connection"] = "close"
        return await super().send(request, **options)


class PacedTransport(Transport):
    """The SDK's transport for services with quotas: what is refused with 429 is sent again when it is its turn.

    Nothing is sent to another place than that of the URL `home`: answers tell where to go on, and a token is for one.
    One that has a `lease` is sent once, and it neither waits for long nor leaves without that lease (`ensure_leave`).
    """

    def __init__(
        self, session: aiohttp.ClientSession, read_seconds: float, home: str, paces: Paces, clock: Clock
    ) -> None:
        super().__init__(session, read_seconds)
        self._home, self._origin = home, _origin(home)
        self._paces = paces
        self._clock = clock

    async def send(self, request: Any, *, lease: Lease | None = None, **options: Any) -> Any:  # noqa: ANN401  as above
        """Send a request and return the answer; raises LeaseLost, Unsent or Unexpected where it is not sent."""
        if (place := _origin(request.url)) != self._origin:
            quoted = without_keys(ascii(place), "…")[:_LONGEST_PLACE] if place else "what is no address"
            raise Unexpected(f"an answer of {self._home} points elsewhere, to {quoted}; nothing is sent there")
        pace = self._paces.of(request.method, request.url, self._clock)
        repetitions = _REPETITIONS if lease is None else 0
        while True:
            # What is sent once, or again, is in the middle of a pass; the others are at its beginning.
            asked = await pace.turn(first=repetitions < _REPETITIONS, patience=None if lease is None else _PATIENCE)
            with pace.out(), _leaving_with(lease):
                response = await super().send(request, **options)
            if response.status_code != HTTPStatus.TOO_MANY_REQUESTS:
                pace.granted()
                return response
            wait = seconds_to_wait(response.headers)
            pace.refused(asked, wait)
            if repetitions == 0 or (wait or 0) > LONGEST_PAUSE:
                return response
            repetitions -= 1


@contextmanager
def _leaving_with(lease: Lease | None) -> Iterator[None]:
    before = _leaving.set(lease)
    try:
        yield
    finally:
        _leaving.reset(before)


def _origin(url: str) -> tuple[str, str | None, int | None] | None:
    """Scheme, host and port; None for what is no URL."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None


@lru_cache(1024)
def _proxy(scheme: str, host: str) -> str | None:
    """The proxy that leads to a host, as the environment names it."""
    return None if proxy_bypass(host) else getproxies().get(scheme)
