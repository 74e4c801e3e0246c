"""What stands in the work queue: one account to be looked at, and what is asked for it, as JSON."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from reprlib import repr as short
from typing import TypeVar

from rotation import tags
from rotation.durations import format_duration, parse_duration
from rotation.errors import BadInput
from rotation.model import AccountId, Occasion, Request, Role, SecretRef, Suspect, Trigger

VERSION = 1
"""Messages of another version are refused: what they ask for could be misread."""

MAX_SECRETS = 250
"""A message may have 48 KiB before it is encoded, and a secret 152 characters; one that is too long stops a sweep."""

MAX_TEXT = 1000
"""The longest text of a message, which is an account; complaints quote texts, and are logged."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One piece of work."""

    secrets: tuple[SecretRef, ...]
    """The publications of the account as far as they were listed, or the one secret by which it was asked for."""
    request: Request
    asked: datetime
    """When it was asked for; a listing that is older does not serve it."""
    account: AccountId | None = None
    """The account, where a listing has told it already."""


def write(work: Work) -> str:
    """Write a message; it holds names and no values."""
    request, occasion = work.request, work.request.occasion
    asked = {
        "trigger": request.trigger,
        "id": request.id,
        "occasion": occasion and {"secret": str(occasion.ref), "version": occasion.version},
        "compromised": request.compromised,
        "grace": format_duration(request.grace),
        "force": request.force,
        "suspects": None if request.suspects is None else [asdict(suspect) for suspect in request.suspects],
        "as_of": request.as_of and request.as_of.isoformat(),
    }
    message = {
        "version": VERSION,
        "asked": work.asked.isoformat(),
        "account": work.account and str(work.account),
        "secrets": [str(ref) for ref in work.secrets[:MAX_SECRETS]],
        "request": asked,
    }
    return json.dumps(message)


def read(text: str | bytes) -> Work:
    """Read a message; raises BadInput that names the field that is wrong."""
    try:
        content = json.loads(text)
    # Not only what is no JSON: bytes that are no text, and lists in lists without end.
    except (ValueError, RecursionError) as error:
        raise BadInput("the message is not JSON") from error
    message = _read("message", content, _fields)
    version = message.get("version")
    # To Python `true` is 1, and so is 1.0.
    if type(version) is not int or version != VERSION:
        raise BadInput(f"the message is of version {short(version)}, and this app reads version {VERSION}")
    asked = _need(message, "request", _fields)
    return Work(
        account=_may(message, "account", lambda text: AccountId.parse(_text(text))),
        secrets=_need(message, "secrets", _refs),
        asked=_need(message, "asked", _time),
        request=Request(
            trigger=_need(asked, "trigger", lambda text: Trigger(_text(text))),
            id=_need(asked, "id", lambda text: tags.request_id(_text(text))),
            occasion=_may(asked, "occasion", _occasion),
            compromised=_may(asked, "compromised", lambda text: Role(_text(text))),
            grace=_need(asked, "grace", lambda text: parse_duration(_text(text))),
            force=_need(asked, "force", _flag),
            suspects=_may(asked, "suspects", _suspects),
            as_of=_may(asked, "as_of", _time),
        ),
    )


def _need(fields: Mapping[str, object], name: str, parse: Callable[[object], T]) -> T:
    if fields.get(name) is None:
        raise BadInput(f"the message has no {name}")
    return _read(name, fields[name], parse)


def _may(fields: Mapping[str, object], name: str, parse: Callable[[object], T]) -> T | None:
    return None if fields.get(name) is None else _read(name, fields[name], parse)


def _read(name: str, value: object, parse: Callable[[object], T]) -> T:
    try:
        return parse(value)
    except ValueError as error:
        raise BadInput(f"the message cannot be read, {name}: {error}") from error


def _fields(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004  what stands in a message has no types
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")  # noqa: TRY004  see above
    if len(value) > MAX_TEXT:
        raise ValueError("too long")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")  # noqa: TRY004  see above
    return value


def _refs(value: object) -> tuple[SecretRef, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError("not a list of secrets")
    if len(value) > MAX_SECRETS:
        raise ValueError(f"more than {MAX_SECRETS}")
    return tuple(SecretRef.parse(_text(ref)) for ref in value)


def _suspects(value: object) -> tuple[Suspect, ...]:
    if not isinstance(value, list):
        raise ValueError("not a list of keys")  # noqa: TRY004  see above
    return tuple(_suspect(_fields(each)) for each in value)


def _suspect(fields: Mapping[str, object]) -> Suspect:
    slot, fingerprint = _text(fields.get("slot")), _text(fields.get("fingerprint"))
    return Suspect(slot, fingerprint, _flag(fields.get("published")))


def _time(value: object) -> datetime:
    time = datetime.fromisoformat(_text(value))
    if time.tzinfo is None:
        raise ValueError("a time without an offset")
    return time


def _occasion(value: object) -> Occasion:
    fields = _fields(value)
    return Occasion(SecretRef.parse(_text(fields.get("secret"))), _text(fields.get("version")))
