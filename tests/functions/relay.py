"""A way to a port of this machine that can be cut: to one client the service is out of reach, to others it is not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

HERE = "127.0.0.1"
PIECE = 64 * 1024


class Relay:
    """Passes on what arrives at `port`."""

    def __init__(self, target: int) -> None:
        self.late = 0.0
        """Seconds by which what comes back is late."""
        self._target = target
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def open(self) -> None:
        """Listen at a free port, or again at the one before."""
        self._server = await asyncio.start_server(self._pass_on, HERE, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Refuse connections from now on, and break those that there are."""
        if self._server:
            self._server.close()
        for end in self._ends:
            end.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = {writer}
        # Who is let in at the moment of the cut is broken off, too.
        self._ends |= ends
        try:
            far_reader, far_writer = await asyncio.open_connection(HERE, self._target)
            ends.add(far_writer)
            self._ends |= ends
            if writer.is_closing():
                far_writer.transport.abort()
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer, lambda: self.late))
        finally:
            self._ends -= ends


async def _pump(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, late: Callable[[], float] = lambda: 0.0
) -> None:
    with suppress(ConnectionError):
        while piece := await source.read(PIECE):
            await asyncio.sleep(late())
            sink.write(piece)
            await sink.drain()
    sink.close()


@asynccontextmanager
async def relay(target: int) -> AsyncIterator[Relay]:
    """A relay to a port; it is cut in the end."""
    way = Relay(target)
    await way.open()
    try:
        yield way
    finally:
        way.cut()
