"""Finds the key in a published value, and puts another key in its place without touching the rest."""

import json
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from rotation.model import Format, Sensitive

_KEY_FIELD = re.compile(r"((?:^|;)\s*(?:AccountKey|AccessKey)\s*=)([^;]*)", re.IGNORECASE)
_OWNER_FIELD = re.compile(r"(?:^|;)\s*(AccountName|Endpoint)\s*=([^;]*)", re.IGNORECASE)


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
    content = _json_object(text)
    if isinstance(key := content.get("key"), str):
        return Recognised(Format.JSON, Sensitive(key), str(content.get("account", "")).lower() or None)
    if match := _KEY_FIELD.search(text):
        return Recognised(Format.CONNECTION_STRING, Sensitive(match[2].strip()), _owner(text))
    return Recognised(Format.KEY, value)


def rekey(value: Sensitive, key: Sensitive) -> Sensitive:
    """Put another key into a value and keep everything else of it, such as endpoints that a person added."""
    text = value.reveal()
    form = recognise(value).format
    if form is Format.JSON:
        return Sensitive(
            json.dumps({**json.loads(text), "key": key.reveal()}, separators=(",", ":"), ensure_ascii=False)
        )
    if form is Format.CONNECTION_STRING:
        return Sensitive(_KEY_FIELD.sub(lambda match: match[1] + key.reveal(), text, count=1))
    return key


def _json_object(text: str) -> dict[str, object]:
    """The object that a text holds; what holds none has no fields."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _owner(text: str) -> str | None:
    match = _OWNER_FIELD.search(text)
    if match is None:
        return None
    name = match[2].strip().lower()
    return urlsplit(name).hostname if match[1].lower() == "endpoint" else name
