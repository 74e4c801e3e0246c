"""Reads and writes the tags of a publication; the vault is the only memory there is.

Two conventions are understood.
Ours has five tags.
Microsoft's rotation functions call three of them otherwise; a secret that came with their names keeps them,
so that both tools can work on it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from rotation.durations import format_duration, parse_duration
from rotation.model import AccountId, Format, Role, State, Terms, Trigger

RESOURCE_ID = "resource-id"
ACTIVE_SLOT = "active-slot"
VALIDITY_DAYS = "validity-days"
POLICY = "rotation-policy"
STATE = "rotation-state"

MICROSOFT = {RESOURCE_ID: "ProviderAddress", ACTIVE_SLOT: "CredentialId", VALIDITY_DAYS: "ValidityPeriodDays"}
"""Our names and those of Microsoft's rotation functions (KeyVault-Secrets-Rotation-*-PowerShell)."""

OURS = frozenset({RESOURCE_ID, ACTIVE_SLOT, POLICY, STATE})
"""The tags that nobody but us has a use for."""

MAX_TAGS = 15
MAX_TAG_LENGTH = 256
"""Key Vault's limits; the documents give 512 today and gave 256 before, so we stay below the smaller."""

MAX_VALIDITY_DAYS = 3650
MAX_ID = 40
YEARS = range(2000, 3000)
ROLES = frozenset(Role)
_ID = re.compile(rf"[A-Za-z0-9._:-]{{1,{MAX_ID}}}")

_MISSING = {
    RESOURCE_ID: "give it the resource id of the account",
    ACTIVE_SLOT: "give it the name of either slot, a wrong one is corrected",
    VALIDITY_DAYS: "give it the days for which a new key is good",
}
"""What to do about a tag that cannot be done without."""

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


class TagError(ValueError):
    """A tag that cannot be read; the message names the tag."""

    def __init__(self, tag: str, complaint: str) -> None:
        super().__init__(f"tag {tag}: {complaint}")
        self.tag = tag


def managed(raw: Mapping[str, str]) -> bool:
    """Whether the tags ask for rotation, readable or not."""
    return borrowed(raw) or not OURS.isdisjoint(raw)


def borrowed(raw: Mapping[str, str]) -> bool:
    """Whether the tags ask for rotation by Microsoft's functions, and none of them was meant for us."""
    return MICROSOFT[RESOURCE_ID] in raw and OURS.isdisjoint(raw)


def read_account(raw: Mapping[str, str]) -> AccountId:
    """Read only which account the secret belongs to; raises TagError."""
    return _read(raw, RESOURCE_ID, AccountId.parse)


def read(raw: Mapping[str, str]) -> Terms:
    """Read every tag of ours, in either convention; raises TagError for the first that is missing or unreadable."""
    policy = _fields(raw, POLICY, {"format", "rotate-before", "retire-after", "paused"})
    return Terms(
        account=read_account(raw),
        active=_read(raw, ACTIVE_SLOT, _slot),
        validity=_read(raw, VALIDITY_DAYS, _days),
        format=policy.get("format", _one_of(Format), Format.KEY),
        rotate_before=policy.get("rotate-before", _positive_duration, None),
        retire_after=policy.get("retire-after", _positive_duration, None),
        paused=policy.get("paused", _boolean, False),
        state=_read_state(raw),
    )


def write(raw: Mapping[str, str], terms: Terms) -> dict[str, str]:
    """Return all tags of the secret with ours replaced; every other tag, and the convention in use, is kept."""
    written = dict(raw)
    for name, value in (
        (RESOURCE_ID, _kept_spelling(raw, terms.account)),
        (ACTIVE_SLOT, terms.active),
        (VALIDITY_DAYS, str(terms.validity.days)),
    ):
        for used in _names(raw, name) or (name,):
            written[used] = value
    for name, text in ((POLICY, _policy(terms)), (STATE, _state(terms.state))):
        if text:
            written[name] = text
        else:
            written.pop(name, None)
    return written


def problem(written: Mapping[str, str]) -> str | None:
    """Say why Key Vault would not take these tags, or None."""
    if len(written) > MAX_TAGS:
        return f"there would be {len(written)} tags and Key Vault allows {MAX_TAGS}; remove {len(written) - MAX_TAGS}"
    for name, value in written.items():
        if len(name) > MAX_TAG_LENGTH or len(value) > MAX_TAG_LENGTH:
            return f"tag {name[:40]!r} would be longer than {MAX_TAG_LENGTH} characters; shorten it"
    return None


def request_id(text: str) -> str:
    """Check an id that is to be recorded in a tag; a ValueError says what is allowed."""
    # In an emergency a role is recorded behind the id: an id that ends in one would pass for that emergency.
    if not _ID.fullmatch(text) or text.endswith(tuple(f":{role}" for role in ROLES)):
        roles = ":active, :idle or :both"
        raise ValueError(f"a request id has 1 to {MAX_ID} letters, digits or . _ : - and does not end in {roles}")
    return text


def format_time(time: datetime) -> str:
    """Write a time as people read it: UTC, whole seconds, `2026-11-21T03:00:00Z`."""
    return _format_time(time, "seconds")


def _names(raw: Mapping[str, str], name: str) -> tuple[str, ...]:
    """The names under which the secret carries one of our tags."""
    return tuple(n for n in (name, MICROSOFT.get(name)) if n in raw and n is not None)


def _read(raw: Mapping[str, str], name: str, parse: Callable[[str], T]) -> T:
    names = _names(raw, name)
    if not names:
        raise TagError(name, f"it is missing; {_MISSING[name]}")
    values = []
    for used in names:
        try:
            values.append(parse(raw[used]))
        except ValueError as error:
            raise TagError(used, str(error)) from error
    if any(value != values[0] for value in values):
        way_out = "give both the right value, or remove one"
        if name == ACTIVE_SLOT:
            way_out = "give both the same value, either will do: a wrong slot is corrected"
        raise TagError(name, f"it says {raw[name]} and {MICROSOFT[name]} says {raw[MICROSOFT[name]]}; {way_out}")
    return values[0]


@dataclass(frozen=True, slots=True)
class _Fields:
    """The `name=value;…` content of one tag."""

    tag: str
    values: Mapping[str, str]

    def get(self, name: str, parse: Callable[[str], T], default: T) -> T:
        if name not in self.values:
            return default
        try:
            return parse(self.values[name])
        except ValueError as error:
            raise TagError(self.tag, f"{name}: {error}") from error


def _fields(raw: Mapping[str, str], tag: str, known: set[str]) -> _Fields:
    values: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in raw.get(tag, "").split(";"))):
        name, separator, value = (piece.strip() for piece in part.partition("="))
        if not separator or name not in known:
            raise TagError(
                tag, f"it holds something else than {', '.join(f'{k}=…' for k in sorted(known))}; take that out"
            )
        if name in values:
            raise TagError(tag, f"it holds {name} twice")
        values[name] = value
    return _Fields(tag, values)


def _read_state(raw: Mapping[str, str]) -> State:
    retiring, staging = {"retire-at", "retire-slot", "retire-key"}, {"staged-slot", "staged-at", "staged-grace"}
    state = _fields(raw, STATE, {"rotated-at", "id", "also", "trigger", "made-key"} | retiring | staging)
    return State(
        rotated_at=state.get("rotated-at", _time, None),
        id=state.get("id", _mark, None),
        also=state.get("also", _mark, None),
        trigger=state.get("trigger", _one_of(Trigger), None),
        retire_at=state.get("retire-at", _time, None),
        retire_slot=state.get("retire-slot", _slot, None),
        retire_key=state.get("retire-key", _fingerprint, None),
        made_key=state.get("made-key", _fingerprint, None),
        staged_slot=state.get("staged-slot", _slot, None),
        staged_at=state.get("staged-at", _time, None),
        staged_grace=state.get("staged-grace", parse_duration, None),
    )


def _state(state: State) -> str:
    return _joined(
        ("rotated-at", _maybe(_moment, state.rotated_at)),
        ("id", state.id),
        ("also", state.also),
        ("trigger", state.trigger),
        ("retire-at", _maybe(format_time, state.retire_at)),
        ("retire-slot", state.retire_slot),
        ("retire-key", state.retire_key),
        ("made-key", state.made_key),
        ("staged-slot", state.staged_slot),
        ("staged-at", _maybe(_moment, state.staged_at)),
        ("staged-grace", _maybe(format_duration, state.staged_grace)),
    )


def _policy(terms: Terms) -> str:
    return _joined(
        ("format", None if terms.format is Format.KEY else terms.format),
        ("rotate-before", _maybe(format_duration, terms.rotate_before)),
        ("retire-after", _maybe(format_duration, terms.retire_after)),
        ("paused", "true" if terms.paused else None),
    )


def _joined(*pairs: tuple[str, str | None]) -> str:
    return ";".join(f"{name}={value}" for name, value in pairs if value)


def _maybe(write: Callable[[T], str], value: T | None) -> str | None:
    return None if value is None else write(value)


def _kept_spelling(raw: Mapping[str, str], account: AccountId) -> str:
    """An ARM id has many spellings; the one that stands there already is kept."""
    for name in _names(raw, RESOURCE_ID):
        if raw[name].lower() == account.folded:
            return raw[name]
    return str(account)


def _one_of(words: type[E]) -> Callable[[str], E]:
    def parse(text: str) -> E:
        if text not in set(words):
            raise ValueError(f"it must be one of {', '.join(words)}")
        return words(text)

    return parse


def _mark(text: str) -> str:
    """Check what a request left, which is its id and, in an emergency, a role."""
    identity, _, role = text.rpartition(":")
    request_id(identity if role in ROLES and identity else text)
    return text


def _slot(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]{1,12}", text):
        raise ValueError("it is not the name of a slot, such as key1 or Primary")
    return text


def _fingerprint(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{12}", text):
        raise ValueError("it is not the fingerprint of a key, which has 12 hex digits")
    return text


def _days(text: str) -> timedelta:
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= MAX_VALIDITY_DAYS:
        raise ValueError(f"it must be a number of days from 1 to {MAX_VALIDITY_DAYS}")
    return timedelta(days=int(text))


def _positive_duration(text: str) -> timedelta:
    duration = parse_duration(text)
    if not duration:
        raise ValueError("it must be longer than nothing")
    return duration


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("it must be true or false")
    return text == "true"


def _moment(time: datetime) -> str:
    """Write when we did something, to the millisecond: what a pass does next may follow within the same second."""
    return _format_time(time, "milliseconds")


def _format_time(time: datetime, precision: str) -> str:
    return f"{time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=precision)}Z"


def _time(text: str) -> datetime:
    try:
        fraction = ".%f" if "." in text else ""
        time = datetime.strptime(text, f"%Y-%m-%dT%H:%M:%S{fraction}Z").replace(tzinfo=UTC)
    except ValueError as error:
        raise ValueError("it must be a time in UTC, such as 2026-11-21T03:00:00Z") from error
    # Near the ends of the calendar nothing can be added to a time or taken away.
    if time.year not in YEARS:
        raise ValueError(f"its year must be from {YEARS[0]} to {YEARS[-1]}")
    return time
