"""Reads what somebody asks for over HTTP; every complaint is told at once."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from rotation import tags
from rotation.durations import parse_duration
from rotation.errors import BadInput
from rotation.model import Role, SecretRef
from rotation.quoting import HIDDEN, quoted, without_keys, without_shreds

MAX_REASON = 200

MAX_BODY = 64 * 1024
"""Bytes; one event loop reads all bodies, and nobody else is served meanwhile."""

MAX_TEXT = 1000
"""Longer texts are not looked at: complaints quote what they are about."""

MAX_STRANGE = 10
"""How many members that nobody knows are complained of; each costs more to answer than to send."""

SHOWN = 40
"""How many characters of a name that nobody knows are repeated."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A rotation that somebody asks for; what is None is left to the app."""

    ref: SecretRef
    compromised: Role | None = None
    grace: timedelta | None = None
    force: bool = False
    dry_run: bool = False
    reason: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which accounts a status is asked for, and whether they get a full look."""

    vault: str | None = None
    name: str | None = None
    """The name of a secret, in whichever vault."""
    deep: bool = False

    def matches(self, ref: SecretRef) -> bool:
        """Whether a secret is asked for."""
        return self.vault in (None, ref.vault) and self.name in (None, ref.name)


def read_order(vault: str, secret: str, query: Mapping[str, str], body: bytes) -> Order:
    """Read `POST rotate/{vault}/{secret}` with its optional body; raises BadInput with a complaint per line."""
    read = _Reader(_members(body))
    ref = read.placed(f"{vault}/{secret}")
    read.nothing_in(query)
    compromised = read("compromised", _role, None)
    grace = read("grace", parse_duration, None)
    force = read.flag("force")
    dry_run = read.flag("dry_run")
    reason = read("reason", _reason, None)
    request_id = read("request_id", tags.request_id, None)
    if compromised and force:
        read.complaints.append("force: compromised does not wait for the overlap anyway; leave out one of the two")
    if read.has("grace") and not read.has("compromised", but=Role.IDLE):
        read.complaints.append("grace: it goes with compromised, active or both; an idle key has no grace")
    read.finish()
    assert ref is not None  # noqa: S101  what is missing or wrong was complained of
    return Order(
        ref=ref,
        compromised=compromised,
        grace=grace,
        force=force,
        dry_run=dry_run,
        reason=reason,
        request_id=request_id,
    )


def read_question(query: Mapping[str, str]) -> Question:
    """Read the query of `GET status`; raises BadInput with a complaint per line."""
    read = _Reader({name: value for name, value in query.items() if name not in _OF_THE_HOST})
    vault = read("vault", _vault, None)
    name = read("secret", _secret, None)
    deep = read("deep", _said, default=False)
    read.finish()
    return Question(vault=vault, name=name, deep=deep)


_OF_THE_HOST = frozenset({"code", "clientId"})
"""What stands in a query for the Functions host: a function key, and its name."""


class _Reader:
    """Takes one member after the other and remembers what is wrong with them."""

    def __init__(self, members: Mapping[str, object]) -> None:
        self._members = members
        self._known: list[str] = []
        self.complaints: list[str] = []

    def __call__(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """Parse a text; a bad one is noted and read as the default, so that the others are looked at too."""
        self._known.append(name)
        value = self._members.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            self.complaints.append(f"{name}: it must be a text")
            return default
        if len(value) > MAX_TEXT:
            self.complaints.append(f"{name}: it is too long")
            return default
        try:
            return parse(value)
        except ValueError as complaint:
            self.complaints.append(f"{name}: {complaint}")
            return default

    def placed(self, ref: str) -> SecretRef | None:
        """Read the secret that the address names."""
        try:
            return SecretRef.parse(ref)
        except ValueError as complaint:
            self.complaints.append(f"secret: {complaint}")
            return None

    def nothing_in(self, query: Mapping[str, str]) -> None:
        """Complain of what was meant to do something and stands where nobody looks."""
        astray = sorted(query.keys() - _OF_THE_HOST)
        self.complaints += [
            f"{quoted(name, SHOWN)}: the query is not read; it goes into the body, as JSON"
            for name in astray[:MAX_STRANGE]
        ]

    def flag(self, name: str) -> bool:
        """Read true or false, which is false where nothing is said; null may have been meant as either."""
        self._known.append(name)
        value = self._members.get(name, False)
        if not isinstance(value, bool):
            self.complaints.append(f"{name}: it must be true or false")
        return value is True

    def has(self, name: str, but: str | None = None) -> bool:
        """Whether something else is said there than `but`, right or wrong."""
        return self._members.get(name) not in (None, but)

    def finish(self) -> None:
        """Raise BadInput if anything was wrong; a member that nobody knows was meant to do something."""
        known = ", ".join(name for name in self._known)
        strange = sorted(self._members.keys() - set(self._known))
        self.complaints += [f"{quoted(name, SHOWN)}: not known; there is {known}" for name in strange[:MAX_STRANGE]]
        if self.complaints:
            raise BadInput("\n".join(self.complaints))


def _members(body: bytes) -> Mapping[str, object]:
    if len(body) > MAX_BODY:
        raise BadInput(f"the body has more than {MAX_BODY // 1024} KiB")
    if not body:
        return {}
    try:
        members = json.loads(body, object_pairs_hook=_once)
    # Not only what is no JSON: bytes that are no text, and lists in lists without end.
    except (ValueError, RecursionError) as error:
        raise BadInput("the body is not JSON") from error
    if not isinstance(members, dict):
        raise BadInput("the body is not a JSON object")
    return members


def _once(pairs: list[tuple[str, object]]) -> Mapping[str, object]:
    """The members of an object; of one that stands there twice nobody knows which was meant."""
    members = dict(pairs)
    if len(members) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise BadInput(f"{quoted(twice, SHOWN)}: it stands there twice")
    return members


def _vault(text: str) -> str:
    try:
        return SecretRef.parse(f"{text}/any").vault
    except ValueError as error:
        raise ValueError(f"{quoted(text)} is not the name of a vault") from error


def _secret(text: str) -> str:
    try:
        return SecretRef.parse(f"any/{text}").name
    except ValueError as error:
        raise ValueError(f"{quoted(text)} is not the name of a secret") from error


def _role(text: str) -> Role:
    if text not in set(Role):
        raise ValueError(f"it must be one of {', '.join(Role)}")
    return Role(text)


def _reason(text: str) -> str:
    if len(text) > MAX_REASON or not text.isprintable():
        raise ValueError(f"it must be one line of up to {MAX_REASON} characters")
    # It is logged; and no order is refused for it, as links and numbers of commits are as long as keys.
    return without_keys(without_shreds(text), HIDDEN)


def _said(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("it must be true or false")
    return text.lower() == "true"
