"""Looks for keys in a text, in every form in which they could stand there."""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

ENOUGH = 16
"""So many characters at either end of a form give it away, and do not stand anywhere by chance."""

_RUN = re.compile(rf"[A-Za-z0-9+/=_%\\-]{{{ENOUGH},}}")
"""What a form of a key can be a part of."""

_URL_ALPHABET = str.maketrans("+/", "-_")


def leaked(text: str, keys: Iterable[str]) -> list[int]:
    """The positions in `keys` of those of which the text holds the beginning or the end, in any form."""
    ends = {end: n for n, key in enumerate(keys) for form in _forms(key) for end in (form[:ENOUGH], form[-ENOUGH:])}
    return sorted({ends[part] for run in set(_RUN.findall(text)) for part in ends.keys() & set(_parts(run))})


def _parts(run: str) -> Iterator[str]:
    return (run[start : start + ENOUGH] for start in range(len(run) - ENOUGH + 1))


def _forms(key: str) -> set[str]:
    """The key raw, in JSON, in addresses, in hex, and in whatever of base64 says nothing but the key."""
    escaped = {quote(key), quote(key, safe=""), quote_plus(key)}
    encoded = set(_in_base64(key))
    forms = {key, json.dumps(key)[1:-1], key.replace("/", "\\/"), key.encode().hex(), *escaped, *encoded}
    forms |= {quote(form) for form in escaped} | {re.sub("%..", lambda code: code[0].lower(), f) for f in escaped}
    return forms | {form.translate(_URL_ALPHABET) for form in (key, *encoded)} | {key.encode().hex().upper()}


def _in_base64(key: str) -> Iterator[str]:
    """Base64 of any text that holds the key, without the characters that other text has a part in."""
    for before in range(3):
        whole = b64encode(b" " * before + key.encode() + b"  ").decode()
        yield whole[4 * -(-before // 3) : 4 * ((before + len(key)) // 3)]
