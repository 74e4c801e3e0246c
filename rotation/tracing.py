"""What traces tell: a span for each function or command, and below it one for each account.

OTEL_EXPORTER_OTLP_ENDPOINT asks for them; without it nothing of OpenTelemetry is imported.
Imported before the worker is ready, this imports next to nothing.
A span tells what the log tells, by the same names, and of what went wrong our own code and message (S6).
"""

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import cache, wraps
from inspect import Parameter, signature
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    import azure.functions as func

    from rotation.otlp import OpenSpan, Traces

P = ParamSpec("P")
T = TypeVar("T")

_LOG = logging.getLogger("rotation.tracing")
_CURRENT: ContextVar["OpenSpan | None"] = ContextVar("span", default=None)


def traced(function: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[None, None, T]]:
    """Tell a function of the app, or a command, as one span below the span that the host has for it.

    The spans are sent before the function ends: after its answer the process may be gone at any time.
    """

    @wraps(function)
    async def telling(*args: P.args, **kwargs: P.kwargs) -> T:
        invocation = kwargs.pop("context", None)
        if (traces := _traces()) is None:
            return await function(*args, **kwargs)
        try:
            with span(function.__name__, cast("func.Context | None", invocation)):
                return await function(*args, **kwargs)
        finally:
            # Other invocations run on this event loop.
            await asyncio.to_thread(traces.flush)

    # The worker hands the context of an invocation to functions that have a parameter of this name.
    known = signature(function)
    context = Parameter("context", Parameter.KEYWORD_ONLY, default=None)
    telling.__signature__ = known.replace(parameters=[*known.parameters.values(), context])  # type: ignore[attr-defined]
    return telling


def attempt() -> AbstractContextManager[None]:
    """Tell the work on one account as one span."""
    return span("attempt")


@contextmanager
def span(name: str, invocation: "func.Context | None" = None) -> Iterator[None]:
    """Tell what is done inside as one span."""
    if (traces := _traces()) is None:
        yield
        return
    with traces.span(f"rotation.{name}", _parent(invocation)) as opened:
        token = _CURRENT.set(opened)
        try:
            yield
        except BaseException as error:
            opened.end_with(error)
            raise
        finally:
            _CURRENT.reset(token)


def tell(level: int, event: str) -> None:
    """Tell an event of the log in the span around it."""
    if (opened := _CURRENT.get()) is not None:
        opened.tell(json.loads(event), bad=level >= logging.WARNING)


def _parent(invocation: "func.Context | None") -> dict[str, str]:
    if invocation is None:
        return {}
    host = invocation.trace_context
    return {"traceparent": host.trace_parent, "tracestate": host.trace_state}


@cache
def _traces() -> "Traces | None":
    """Where spans go, if the environment says so."""
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return None
    try:
        from rotation.otlp import Traces  # noqa: PLC0415  OpenTelemetry comes with it

        return Traces()
    except Exception as defect:  # noqa: BLE001  a rotation does without traces
        _LOG.warning("there are no traces, %s: %s", type(defect).__name__, defect)
        return None
