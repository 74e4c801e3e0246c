"""Looks for keys in a text, in every form in which they could stand there."""

import json
from collections.abc import Iterable
from urllib.parse import quote, quote_plus


def leaked(text: str, keys: Iterable[str]) -> list[int]:
    """The positions in `keys` of those that the text holds: raw, in JSON, or as a part of an address."""
    return [n for n, key in enumerate(keys) if any(form in text for form in _forms(key))]


def _forms(key: str) -> set[str]:
    return {key, json.dumps(key)[1:-1], key.replace("/", "\\/"), quote(key), quote(key, safe=""), quote_plus(key)}
