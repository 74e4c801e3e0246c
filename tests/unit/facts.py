"""Small builders of facts: a test says what is special about its account, and nothing else."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rotation import tags
from rotation.model import (
    AccountId,
    Facts,
    Format,
    Limits,
    Obstacle,
    Occasion,
    Publication,
    Request,
    Secret,
    SecretRef,
    Sensitive,
    Slot,
    State,
    Suspect,
    Terms,
    Trigger,
)

NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

SLOTS = ("key1", "key2")
FIRST, SECOND_SLOT = SLOTS
KEYS = {"key1": "11aa11aa11aa", "key2": "22bb22bb22bb"}
"""Fingerprints, so no keys: rules never see any."""

KEY = SecretRef.parse("kv-orders/storage-key")
STRING = SecretRef.parse("kv-orders/storage-connection")
OTHER = SecretRef.parse("kv-billing/storage-key")

VALIDITY = 60 * DAY
LEAD = 20 * DAY
"""The default: a third of the validity."""
OVERLAP = 2 * DAY
AGE = 10 * DAY
"""Of a publication that nothing is to be done about: older than the overlap, younger than due."""

ACCOUNT = AccountId.parse(
    "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/rg-orders"
    "/providers/Microsoft.Storage/storageAccounts/stgorders"
)


def version(number: int) -> str:
    """Return the name of a secret version, as Key Vault makes them."""
    return f"{number:032x}"


def publication(  # noqa: PLR0913  # each test names the one or two that matter to it
    ref: SecretRef = KEY,
    holds: Slot | None = FIRST,
    *,
    tagged: Slot | None = None,
    age: timedelta = AGE,
    validity: timedelta = VALIDITY,
    lead: timedelta | None = None,
    retire_after: timedelta | None = None,
    paused: bool = False,
    enabled: bool = True,
    expires: datetime | None = None,
    state: State | None = None,
    accepted: bool | None = None,
    form: Format = Format.KEY,
    foreign: Mapping[str, str] | None = None,
    value: Sensitive | None = None,
    number: int | None = 1,
) -> Publication:
    """Make a publication that holds `key1`, says so, and is neither old nor young."""
    terms = Terms(
        account=ACCOUNT,
        active=tagged or holds or FIRST,
        validity=validity,
        format=form,
        rotate_before=lead,
        retire_after=retire_after,
        paused=paused,
        state=state or State(),
    )
    secret = Secret(
        ref=ref,
        created=NOW - age,
        enabled=enabled,
        expires=expires,
        tags=tags.write(foreign or {}, terms),
        version=None if number is None else version(number),
        value=value,
    )
    return Publication(secret, terms, holds, accepted)


def facts(  # noqa: PLR0913  # the same
    *publications: Publication,
    request: Request | None = None,
    overlap: timedelta = OVERLAP,
    allowed: tuple[str, ...] = (),
    obstacles: tuple[Obstacle, ...] = (),
    unseen: tuple[str, ...] = (),
    keys: Mapping[Slot, str] = KEYS,
) -> Facts:
    """Make the facts about one account; without an argument, one publication that may rest."""
    return Facts(
        account=ACCOUNT,
        slots=SLOTS,
        publications=publications or (publication(),),
        keys=keys,
        obstacles=obstacles,
        unseen=unseen,
        request=request or Request(),
        limits=Limits(overlap=overlap, accounts=allowed),
    )


def rotated(ago: timedelta, trigger: Trigger = Trigger.SCHEDULE, **noted: object) -> State:
    """Make the state that a rotation leaves behind."""
    state = State(rotated_at=NOW - ago, trigger=trigger)
    return replace(state, **noted)  # type: ignore[arg-type]  # the names and types are those of State


def suspect(slot: Slot, *, published: bool, fingerprint: str | None = None) -> Suspect:
    """Make a compromised key that still works, unless another fingerprint is given."""
    return Suspect(slot, fingerprint or KEYS[slot], published)


def event(ref: SecretRef = KEY, number: int = 1) -> Request:
    """Make the request of a Key Vault event about one version of a secret."""
    return Request(trigger=Trigger.EVENT, occasion=Occasion(ref, version(number)))


def emergency(*suspects: Suspect, grace: timedelta = 15 * MINUTE) -> Request:
    """Make a request whose role was already turned into slots."""
    return Request(trigger=Trigger.EMERGENCY, grace=grace, suspects=suspects)
