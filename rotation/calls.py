"""Counts the requests that one pass sends, its tasks included."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Calls:
    """How many requests were sent."""

    number: int = 0


_COUNTING: ContextVar[Calls | None] = ContextVar("calls", default=None)


@contextmanager
def counted() -> Iterator[Calls]:
    """Count what is sent while inside, here and in the tasks that are begun here."""
    calls = Calls()
    token = _COUNTING.set(calls)
    try:
        yield calls
    finally:
        _COUNTING.reset(token)


def count() -> None:
    """Take note of one request."""
    if (calls := _COUNTING.get()) is not None:
        calls.number += 1
