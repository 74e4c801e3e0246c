"""What complaints may repeat of what they are about: anything may stand there, a key included."""

import re

HIDDEN = "<what looks like a key>"

_HEX = re.compile(r"[0-9A-Fa-f]{40}")
_SPACE = re.compile(r" |%(?:25)*20")
"""What an URL makes of a + that was not encoded."""
_PART = re.compile(r"[A-Za-z0-9]{6,}")
_PLAIN = re.compile(r"(?:[A-Z]?[a-z]{2,}|[A-Z]{2,})*[0-9]{0,4}")
"""How people write: words, also several in one as in SharedKey, and a number behind them."""

_PADDED = re.compile(r"(?:=|%(?:25)*3[Dd])(?=$|[\s;&'\"()])")
"""The end of a key of 32 or 64 bytes, which is no value's beginning."""

_SHRED = re.compile(r"(?=[^ ]*[A-Z])(?=[^ ]*[a-z])(?=[^ ]*(?:[0-9]|[a-z][A-Z]{2}|[A-Z][a-z][A-Z]))[A-Za-z0-9/_-]{10}")
"""As long as one piece at least of a key whose + have become spaces; hardly a word, or the number of a ticket."""

_SIMPLE = re.compile(r"\W?(?:[A-Z]?[a-z]+|[A-Z]+|[A-Z]*-?[0-9]+)?\W*")
"""A word, a number or the name of a ticket; hardly a piece of a key that is worth anything."""

_RUN = re.compile(
    r"(?:[A-Za-z0-9+/_-]|\\/|\\u002[BFbf]|%(?:25)*2[BFbf]){40,}(?P<end>(?:=|\\u003[Dd]|%(?:25)*3[Dd])*)"
    r"|(?P<token>eyJ[A-Za-z0-9_-]{8,})"
)
"""As long as a part of a key in base64, however it is encoded for an URL or in JSON; or the beginning of a token."""

_RESOURCE_ID = re.compile(
    r"(/subscriptions/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"(?:/resourceGroups/[\w.()-]{1,90})?(?:/providers/[\w.]+(?:/[\w-]{1,39})*)?)",
    re.IGNORECASE | re.ASCII,
)
"""As long, and no key; Azure names one in most of its complaints."""

_WORD = re.compile(r"[^\s'\"()]+")
"""Whatever others quote: in quotes, in brackets, or as it is."""

_PIECE = re.compile(r"(?<=')[^']*(?=')|(?<=\()[^()]*(?=\))|(?<=option: )[^'\"()]*")
"""Where others quote what may have spaces."""

_FEW = 4
"""Fewer capital or small letters than these are in a thousandth of a thousandth of all parts of keys."""


def looks_secret(text: str) -> bool:
    """Whether a text looks as if it held a key or a token."""
    return without_keys(text, "") != text


def without_keys(text: str, mask: str) -> str:
    """The text with a mask in the place of what looks like a key or a token."""
    between = _RESOURCE_ID.split(text)
    between[::2] = [_RUN.sub(lambda run: mask if _is_random(run) else run[0], part) for part in between[::2]]
    return "".join(between)


def without_secret_words(complaint: str) -> str:
    """A complaint that somebody else has put together, without the words that look as if they held a key."""
    pieces = _PIECE.sub(lambda piece: HIDDEN if looks_pasted(piece[0]) else piece[0], complaint)
    return _WORD.sub(lambda word: HIDDEN if looks_secret(word[0]) else word[0], pieces)


def looks_pasted(text: str) -> bool:
    """Whether what somebody has typed looks as if it held a key, also one whose + an URL has turned into spaces."""
    if looks_secret(text):
        return True
    # One key in a hundred thousand is made of what could be words.
    in_words = _is_plain(_SPACE.sub(" ", text)) and not _PADDED.search(text)
    return not in_words and looks_secret(_SPACE.sub("+", text))


def without_shreds(text: str) -> str:
    """The text without what stands from the first to the last piece of a key whose + an URL has turned into spaces."""
    spaced = _SPACE.sub(" ", text)
    if not (looks_pasted(text) and _SHRED.search(spaced)):
        return text
    words = spaced.split(" ")
    pieces = [n for n, word in enumerate(words) if not _SIMPLE.fullmatch(word)]
    first, last = pieces[0], pieces[-1]
    while last > first and (_is_link(words[last]) or last not in pieces):
        last -= 1
    return " ".join([*words[:first], HIDDEN, *words[last + 1 :]])


def quoted(text: str, most: int | None = None) -> str:
    """Up to `most` characters of a text in quotes, or words in its place where it looks as if it held a key."""
    return HIDDEN if looks_pasted(text) else repr(text[:most])


def _is_plain(text: str) -> bool:
    """Whether it is made of words, and of what is too short to tell."""
    return all(_PLAIN.fullmatch(part) for part in _PART.findall(text))


def _is_link(word: str) -> bool:
    """Whether it is a link without a piece of a key."""
    return word.startswith(("https://", "http://")) and not _SHRED.search(word)


def _is_random(run: re.Match[str]) -> bool:
    """Whether it has the letters of a key; names of many words have no digits, or hardly any capitals."""
    text = run[0]
    if run["token"] or run["end"] or text.isalnum() or _HEX.search(text):
        return True
    capitals, small = (sum(map(kind, text)) for kind in (str.isupper, str.islower))
    return min(capitals, small) >= _FEW and (any(map(str.isdigit, text)) or capitals * 4 >= len(text))
