"""Finds the key in a published value, and puts another key in its place without touching the rest."""

import json
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from rotation.model import Format, Sensitive

_KEY_FIELD = re.compile(r"(?:^|;)\s*(?:AccountKey|AccessKey)\s*=\s*([^;\s]*)(?=\s*(?:;|\Z))", re.IGNORECASE)
_OWNER_FIELD = re.compile(r"(?:^|;)\s*(AccountName|Endpoint)\s*=([^;]*)", re.IGNORECASE)
_JSON_KEY = re.compile(r'"key"\s*:\s*"((?:[^"\\]|\\.)*)"')


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
    places = (slice(*match.span(1)) for match in _JSON_KEY.finditer(text))
    return next((p for p in places if _json_object(_replaced(text, p, _json_text(other))).get("key") == other), None)


def _place_in_connection_string(text: str) -> slice | None:
    """Where the key stands; of a field that is given twice, the clients read the last one."""
    fields = list(_KEY_FIELD.finditer(text))
    return slice(*fields[-1].span(1)) if fields else None


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
    match = _OWNER_FIELD.search(text)
    if match is None:
        return None
    name = match[2].strip().lower()
    if match[1].lower() != "endpoint":
        return name
    try:
        return urlsplit(name).hostname
    except ValueError:  # such as the half of an IPv6 address
        return None
