"""Requests are counted for the pass that sends them."""

import asyncio

from rotation.calls import count, counted


async def send(times: int) -> None:
    """Send some requests, each in a task of its own."""

    async def one() -> None:
        count()

    await asyncio.gather(*(one() for _ in range(times)))


async def test_passes_are_counted_apart() -> None:
    """Two at the same time do not mix, and what nobody counts does no harm."""

    async def rotation(times: int) -> int:
        with counted() as calls:
            await send(times)
            await send(1)
        await send(7)
        return calls.number

    assert [3, 6] == list(await asyncio.gather(rotation(2), rotation(5)))
