"""What complaints may repeat of what they are about: anything may have been pasted there, a key included."""

import re

HIDDEN = "<what looks like a key>"

_SECRET_LIKE = re.compile(r"(?:[A-Za-z0-9+/_-]|%(?:25)*2[BFbf]){40}|eyJ[A-Za-z0-9_-]{8}")
"""A key in base64, however it is encoded for an URL, or the beginning of a token."""

_WORD = re.compile(r"[^\s'\"()]+")
"""Whatever others quote: in quotes, in brackets, or as it is."""


def looks_secret(text: str) -> bool:
    """Whether a text looks as if it held a key or a token."""
    return _SECRET_LIKE.search(text) is not None


def quoted(text: str, most: int | None = None) -> str:
    """Up to `most` characters of a text in quotes, or words in its place where it looks as if it held a key."""
    return HIDDEN if looks_secret(text) else repr(text[:most])


def without_keys(complaint: str) -> str:
    """A complaint that somebody else has put together, with words in the place of what looks like a key."""
    return _WORD.sub(lambda word: HIDDEN if looks_secret(word[0]) else word[0], complaint)
