"""What the app tells of itself: one line of JSON per event, with names that queries rely on.

docs/functions.md lists the events and their fields; keys are told by fingerprint only.
Traces tell the same.
"""

import json
import logging
from collections.abc import Mapping
from datetime import datetime

from rotation import tracing
from rotation.errors import Busy, NotYetTrue, RotationError, Transient
from rotation.model import Action
from rotation.report import Outcome
from rotation.status import Standing
from rotation.tags import format_time

_LOG = logging.getLogger("rotation")


def configure() -> None:
    """Let our own events through, and of the Azure SDKs only what they warn of: they log every request otherwise."""
    _LOG.setLevel(logging.INFO)
    logging.getLogger("azure").setLevel(logging.WARNING)
    # It warns with the answer that it was given in place of a token, which may hold a part of one; our error follows.
    logging.getLogger("azure.identity").setLevel(logging.ERROR)


def event(name: str, level: int = logging.INFO, /, **fields: object) -> None:
    """Tell one event; what is not known is left out."""
    line = _line(name, fields)
    _LOG.log(level, "%s", line)
    tracing.tell(level, line)


def attempt(function: str, outcome: Outcome, before: Standing | None = None, **more: object) -> None:
    """Tell what came of one account; `before` is how it stood."""
    event("attempt", _level(outcome), function=function, **_fields(outcome, before), **more)


def noted(outcome: Outcome) -> None:
    """Tell what came of one account in its span alone, as there is no log."""
    tracing.tell(_level(outcome), _line("attempt", _fields(outcome)))


def failed(function: str, error: RotationError, **more: object) -> None:
    """Tell that an invocation came to nothing."""
    level = logging.WARNING if isinstance(error, Transient) else logging.ERROR
    event("failed", level, function=function, error=error.code, message=str(error), **more)


def ignored(function: str, because: str, **more: object) -> None:
    """Tell that there was nothing to do for us."""
    event("ignored", function=function, because=because, **more)


def queued(function: str, standing: Standing, **more: object) -> None:
    """Tell that an account is put into the queue; whether anybody takes it out is told by its attempt."""
    secrets = standing.secrets
    event(
        "queued",
        function=function,
        account=str(standing.facts.account),
        vaults=sorted({ref.vault for ref in secrets}),
        secrets=[str(ref) for ref in secrets],
        reason=standing.verdict.reason,
        due=standing.due,
        **more,
    )


def listed(function: str, fields: Mapping[str, object], problems: Mapping[str, RotationError]) -> None:
    """Tell what a sweep or an audit found, and which vaults could not be listed."""
    for vault, error in sorted(problems.items()):
        failed(function, error, vault=vault)
    event(function, logging.WARNING if problems else logging.INFO, function=function, **fields)


def _fields(outcome: Outcome, before: Standing | None = None) -> dict[str, object]:
    last = outcome.steps[-1] if outcome.steps else None
    # A key that waits to be accepted is in no secret yet, and a retired one not any more.
    written = [step for step in outcome.steps if step.secrets and step.fingerprint]
    published = [step for step in written if step.action is not Action.RETIRE]
    return {
        "account": outcome.account,
        "vaults": sorted({ref.vault for ref in outcome.secrets}),
        "secrets": [str(ref) for ref in outcome.secrets],
        "status": outcome.status,
        "verdict": None if outcome.verdict is None else outcome.verdict.action,
        "reason": None if outcome.verdict is None else outcome.verdict.reason,
        "because": None if outcome.verdict is None else outcome.verdict.because,
        "error": None if outcome.error is None else outcome.error.code,
        "message": None if outcome.error is None else str(outcome.error),
        "steps": [f"{step.action}: {step.reason}" for step in outcome.steps],
        "from": None if before is None else before.active,
        "published": None if before is None else before.published,
        "due": None if before is None else before.due,
        "to": published[-1].slot if published else None,
        "fingerprint": published[-1].fingerprint if published else None,
        "meant": [suspect.fingerprint for suspect in outcome.meant],
        "replaced": [step.replaced for step in outcome.steps if step.replaced],
        "previous_key_until": last.previous_until if last else None,
        "retire_at": last.retire_at if last else None,
        "broken_promise_until": next((step.broken_promise for step in outcome.steps if step.broken_promise), None),
        "trigger": outcome.trigger,
        "request_id": outcome.request_id,
        "seconds": round(outcome.seconds, 3),
    }


def _line(name: str, fields: Mapping[str, object]) -> str:
    known = {field: value for field, value in fields.items() if value not in (None, [], ())}
    return json.dumps({"event": f"rotation.{name}", **known}, default=_plain)


def _plain(value: object) -> str:
    return format_time(value) if isinstance(value, datetime) else str(value)


def _level(outcome: Outcome) -> int:
    """How loud: 0 fine, 1 waiting helps, 3 a person must act."""
    if isinstance(outcome.error, (Busy, NotYetTrue)):
        return logging.INFO
    return {0: logging.INFO, 1: logging.WARNING}.get(outcome.exit_code, logging.ERROR)
