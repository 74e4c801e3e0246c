"""What Hypothesis draws from: texts that resemble ours closely enough to be dangerous, and whole accounts."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from hypothesis import strategies as st

from rotation import tags
from rotation.model import (
    AccountId,
    Facts,
    Format,
    Limits,
    Obstacle,
    Occasion,
    Publication,
    Reason,
    Request,
    Role,
    Secret,
    SecretRef,
    Sensitive,
    Slot,
    State,
    Suspect,
    Terms,
    Trigger,
)
from tests.unit.facts import ACCOUNT, KEYS, NOW, SLOTS, version

T = TypeVar("T")

moments = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)).map(  # noqa: DTZ001  # the zone is drawn
    lambda time: time.replace(microsecond=0)
)
noted = moments.map(lambda time: time.replace(year=tags.YEARS[time.year % len(tags.YEARS)], day=min(time.day, 28)))
"""Times that may stand in a tag."""
durations = st.timedeltas(timedelta(0), timedelta(days=99_999)).map(lambda d: timedelta(d.days, d.seconds))
positive_durations = durations.filter(bool)
keys = st.binary(min_size=32, max_size=64).map(lambda raw: base64.b64encode(raw).decode())
"""Texts like real keys; made anew in each run."""
request_ids = st.from_regex(r"[A-Za-z0-9._:-]{1,40}", fullmatch=True)
slot_names = st.from_regex(r"[A-Za-z0-9]{1,12}", fullmatch=True)

accounts = st.builds(
    "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.{}/{}".format,
    st.uuids(),
    st.from_regex(r"[\w.()-]{1,20}[\w()-]", fullmatch=True).filter(
        lambda group: group.lower().upper() == group.upper()
    ),
    st.sampled_from(["Storage/storageAccounts", "Batch/batchAccounts", "SignalRService/WebPubSub"]),
    st.from_regex(r"[a-z0-9][a-z0-9-]{1,62}", fullmatch=True),
).map(AccountId.parse)

done = st.builds(lambda time, thousandths: time.replace(microsecond=1000 * thousandths), noted, st.integers(0, 999))
"""Times at which we may have noted that we did something."""

fingerprints = st.none() | st.from_regex(r"[0-9a-f]{12}", fullmatch=True)
begun = {
    "rotated_at": st.none() | done,
    "id": st.none() | request_ids,
    "trigger": st.none() | st.sampled_from(Trigger),
    "made_key": fingerprints,
}
retiring = st.builds(
    State,
    **begun,
    retire_at=st.none() | noted,
    retire_slot=st.none() | slot_names,
    retire_key=fingerprints,
    also=st.none() | request_ids,
)
staging = st.builds(
    State,
    **begun,
    staged_slot=st.none() | slot_names,
    staged_at=st.none() | done,
    staged_grace=st.none() | durations,
)
states = retiring | staging
"""A key that waits has taken the place of one that was to be retired, so that a pass notes one or the other."""
terms = st.builds(
    Terms,
    account=accounts,
    active=slot_names,
    validity=st.integers(1, tags.MAX_VALIDITY_DAYS).map(lambda days: timedelta(days=days)),
    format=st.sampled_from(Format),
    rotate_before=st.none() | positive_durations,
    retire_after=st.none() | positive_durations,
    paused=st.booleans(),
    state=states,
)

OURS = (*tags.MICROSOFT, *tags.MICROSOFT.values(), tags.POLICY, tags.STATE)
foreign_tags = st.dictionaries(st.text(max_size=10).filter(lambda name: name not in OURS), st.text(max_size=10))

_words = st.sampled_from(
    [
        *("key1", "Primary", "true", "false", "60", "0", "-1", "99999", "٣", "P2D", "PT0S", "P", "json", "schedule"),
        *("2026-11-21T03:00:00Z", "2026-11-21T03:00:00", "0000-01-01T00:00:00Z", "1-01-01T00:00:00Z"),
        *(
            "INC-42",
            "rotated-at",
            "made-key",
            "id",
            "also",
            "trigger",
            "retire-at",
            "retire-slot",
            "staged-slot",
            "staged-at",
            "staged-grace",
        ),
        *("format", "rotate-before", "retire-after", "paused", "=", ";", " ", "\n", "\x00", str(ACCOUNT)),
    ]
)
tag_texts = st.text(max_size=20) | st.lists(_words, max_size=8).map("".join)
"""Texts that are nearly what a tag of ours holds."""
near_tags = st.dictionaries(st.sampled_from(OURS), tag_texts) | st.dictionaries(st.text(max_size=10), tag_texts)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.just("key"), inner, max_size=3)
    ),
    max_leaves=10,
)
json_texts = st.builds(
    lambda fields, key, indent, ascii_only: json.dumps({**fields, "key": key}, indent=indent, ensure_ascii=ascii_only),
    st.dictionaries(st.text(max_size=8), json_values, max_size=4),
    keys,
    st.none() | st.integers(0, 2),
    st.booleans(),
)
_field_texts = st.text(st.characters(exclude_characters=";=", exclude_categories=["Cs"]), max_size=10)
connection_strings = st.builds(
    lambda before, name, key, after: ";".join([*before, f"{name}={key}", *after]),
    st.lists(st.builds("x{}={}".format, _field_texts, _field_texts), max_size=3),
    st.sampled_from(["AccountKey", "AccessKey", "accountkey", "ACCESSKEY"]),
    keys,
    st.lists(st.builds("x{}={}".format, _field_texts, _field_texts), max_size=3),
)
values = (
    keys
    | json_texts
    | connection_strings
    | st.text(st.characters(), max_size=40)
    | st.lists(
        st.sampled_from(
            [
                *("AccountKey", "AccessKey", "Endpoint", "AccountName", "=", ";", " ", "\n", "http://[", "https://h/"),
                *('{"key":"', '"}', '"key"', ":", "{", "}", '"', "\\", "\ud800", "k", "1e999", "NaN", ","),
            ]
        ),
        max_size=12,
    ).map("".join)
)
"""Published values, well formed and not."""

REFS = tuple(SecretRef.parse(text) for text in ("kv-a/one", "kv-a/two", "kv-b/one"))


def mostly(usual: T, *others: T) -> st.SearchStrategy[T]:
    """Draw the usual one, and now and then another: an account with everything wrong never gets past the first rule."""
    return st.sampled_from([usual] * 6 * len(others) + list(others))


_ages = st.sampled_from([0, 1, 60, 24 * 60, 2 * 24 * 60 - 1, 2 * 24 * 60, 14400, 57600, 57601, 90000]).map(
    lambda minutes: timedelta(minutes=minutes)
)
_around_now = st.sampled_from([-3000, -15, -1, 0, 1, 15, 3000]).map(lambda minutes: NOW + timedelta(minutes=minutes))
_slots = st.sampled_from(SLOTS)
_ids = st.sampled_from([None, "INC-1", "INC-2"])
_states = st.just(State()) | st.builds(
    State,
    rotated_at=st.none() | _around_now,
    id=_ids,
    also=_ids,
    trigger=st.sampled_from([None, *Trigger]),
    retire_at=st.none() | _around_now,
    retire_slot=mostly(None, *SLOTS),
    made_key=mostly(None, *KEYS.values()),
    staged_slot=mostly(None, *SLOTS),
    staged_at=st.none() | _around_now,
    staged_grace=st.sampled_from([None, timedelta(0), timedelta(minutes=15)]),
)
_seldom = st.integers(0, 6).map(lambda n: n == 1)
_values = mostly(None, Sensitive("x" * 24_900), Sensitive("\ud800"), Sensitive("a value that nobody is to see"))


@st.composite
def publications(draw: st.DrawFn, ref: SecretRef, usual: Slot) -> Publication:
    """Draw a secret that publishes the account, mostly in order, sometimes in every way out of it."""
    holds = draw(mostly(usual, *SLOTS, None))
    said = Terms(
        account=ACCOUNT,
        active=draw(mostly(holds or usual, *SLOTS)),
        validity=draw(mostly(timedelta(days=60), timedelta(days=3), timedelta(days=4))),
        rotate_before=draw(mostly(None, timedelta(hours=1), timedelta(days=59))),
        retire_after=draw(mostly(None, timedelta(days=1), timedelta(days=40))),
        paused=draw(_seldom),
        state=draw(_states),
    )
    secret = Secret(
        ref=ref,
        created=NOW - draw(_ages),
        enabled=not draw(_seldom),
        expires=draw(st.none() | _around_now),
        tags=tags.write(draw(mostly({}, {"owner": "team"}, {str(n): "" for n in range(14)})), said),
        version=draw(mostly(version(1), version(2), None)),
        value=draw(_values),
    )
    return Publication(secret, said, holds, draw(st.sampled_from([None, True, False])))


_suspects = st.builds(Suspect, _slots, st.sampled_from([*KEYS.values(), "dead00dead00"]), st.booleans())
requests = st.builds(
    Request,
    trigger=st.sampled_from(Trigger),
    id=_ids,
    occasion=mostly(None, *(Occasion(ref, version(n)) for ref in REFS for n in (1, 2))),
    compromised=st.sampled_from([None, *Role]),
    grace=st.sampled_from([timedelta(0), timedelta(minutes=15)]),
    force=st.booleans(),
    suspects=st.none() | st.just(()) | st.tuples(_suspects) | st.tuples(_suspects, _suspects),
)


@st.composite
def accounts_as_found(draw: st.DrawFn) -> Facts:
    """Draw everything that can be known about one account, however odd."""
    refs = draw(mostly(REFS[:1], (), REFS[:2], REFS[:2], REFS))
    usual = draw(_slots)
    return Facts(
        account=ACCOUNT,
        slots=SLOTS,
        publications=tuple(draw(publications(ref, usual)) for ref in refs),
        keys=draw(mostly(KEYS, {})),
        obstacles=draw(mostly((), (Obstacle(Reason.READ_ONLY_LOCK, "a lock"),))),
        unseen=draw(mostly((), ("kv-c",))),
        request=draw(st.just(Request()) | requests),
        limits=Limits(
            overlap=draw(mostly(timedelta(days=2), timedelta(0), timedelta(days=1))),
            accounts=draw(mostly((), ("/subscriptions/elsewhere",))),
        ),
    )
