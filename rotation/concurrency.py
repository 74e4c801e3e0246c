"""Doing several things at once and failing with one plain error."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


@asynccontextmanager
async def concurrently() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that stops at the first error and raises that error itself, not a group of them: for reading."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
        raise first from first.__cause__


async def all_tried(*awaitables: Awaitable[T]) -> list[T]:
    """Let each come to its end, whatever becomes of the others, then raise the first error: for writing."""
    results = await asyncio.gather(*awaitables, return_exceptions=True)
    done: list[T] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        done.append(result)
    return done
