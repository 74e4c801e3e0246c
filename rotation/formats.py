"""Finds the key in a published value, and puts another key in its place without touching the rest."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from rotation.model import Format, Sensitive

_KEY_FIELDS = frozenset({"accountkey", "accesskey"})
_OWNER_FIELDS = frozenset({"accountname", "endpoint"})
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]')


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a published value turned out to be."""

    format: Format
    key: Sensitive
    owner: str | None = None
    """The account name or host that the value itself names, in lower case."""


def recognise(value: Sensitive) -> Recognised:
    """Tell the format of a value from its shape and take out the key; what has no other shape is a bare key."""
    text = value.reveal()
    if place := _place_in_json(text):
        content = _json_object(text)
        return Recognised(Format.JSON, Sensitive(str(content["key"])), str(content.get("account", "")).lower() or None)
    if place := _place_in_connection_string(text):
        return Recognised(Format.CONNECTION_STRING, Sensitive(text[place]), _owner(text))
    return Recognised(Format.KEY, value)


def rekey(value: Sensitive, key: Sensitive) -> Sensitive:
    """Put another key into a value and keep everything else of it, such as endpoints that a person added."""
    text = value.reveal()
    if place := _place_in_json(text):
        return Sensitive(_replaced(text, place, _json_text(key.reveal())))
    if place := _place_in_connection_string(text):
        return Sensitive(_replaced(text, place, key.reveal()))
    return key


def _place_in_json(text: str) -> slice | None:
    """Where the object's own `key` stands; one further inside belongs to something else."""
    content = _json_object(text)
    key = content.get("key")
    if not isinstance(key, str):
        return None
    other = f"{key}?"
    # Of a name that is given twice the last one counts, which may be written in another way.
    places = _own_keys(text)
    if not places or _json_object(_replaced(text, places[-1], _json_text(other))).get("key") != other:
        return None
    return places[-1]


def _own_keys(text: str) -> list[slice]:
    """Where the texts stand that an object gives to its own `key`; in one run, however much the object holds."""
    places, depth, before = [], 0, ("", "")
    for token in _JSON_TOKEN.finditer(text):
        found = token[0]
        if depth == 1 and before == ('"key"', ":") and found.startswith('"'):
            places.append(slice(token.start() + 1, token.end() - 1))
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(found, 0)
        before = (before[1], found)
    return places


def _place_in_connection_string(text: str) -> slice | None:
    """Where the key stands; of a field that is given twice, the clients read the last one."""
    keys = [place for name, place in _fields(text) if name in _KEY_FIELDS and len(text[place].split()) < 2]  # noqa: PLR2004  one word, or none
    return keys[-1] if keys else None


def _fields(text: str) -> Iterator[tuple[str, slice]]:
    """The fields of a connection string: a name in lower case, and where its value stands, but for space around it."""
    start = 0
    for field in text.split(";"):
        name, equals, value = field.partition("=")
        if equals:
            begins = start + len(field) - len(value.lstrip())
            yield name.strip().lower(), slice(begins, begins + len(value.strip()))
        start += len(field) + 1


def _replaced(text: str, place: slice, new: str) -> str:
    return text[: place.start] + new + text[place.stop :]


def _json_text(text: str) -> str:
    """A text as it stands between the quotation marks of JSON."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _json_object(text: str) -> dict[str, object]:
    """The object that a text holds, its numbers as they are written; what holds none has no fields."""
    try:
        content = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _owner(text: str) -> str | None:
    name, place = next((field for field in _fields(text) if field[0] in _OWNER_FIELDS), ("", slice(0)))
    if name != "endpoint":
        return text[place].lower() if name else None
    try:
        return urlsplit(text[place].lower()).hostname
    except ValueError:  # such as the half of an IPv6 address
        return None
