"""A cancellation that leaves a function is never answered by the worker."""

import asyncio

from rotation.containment import contained


async def test_a_cancellation_is_told_as_a_failure() -> None:
    """The host gets its answer, and delivers again."""

    @contained
    async def waiting() -> None:
        await asyncio.sleep(60)

    invocation = asyncio.create_task(waiting())
    await asyncio.sleep(0)
    invocation.cancel()
    (ended,) = await asyncio.gather(invocation, return_exceptions=True)

    assert isinstance(ended, RuntimeError)
    assert "the invocation was cancelled; the next pass goes on from what it finds" == str(ended)


async def test_what_is_not_cancelled_is_answered() -> None:
    """With what the function says."""

    @contained
    async def answering(text: str) -> str:
        return text

    assert "done" == await answering("done")
