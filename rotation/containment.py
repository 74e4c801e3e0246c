"""Keeps cancellations inside of functions. Imported before the worker is ready, it imports next to nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def contained(handler: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[None, None, T]]:
    """Let no cancellation escape a function: the worker would send no answer, and the host wait to its time limit."""

    @wraps(handler)
    async def answering(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await handler(*args, **kwargs)
        except asyncio.CancelledError:
            raise RuntimeError("the invocation was cancelled; the next pass goes on from what it finds") from None

    return answering
