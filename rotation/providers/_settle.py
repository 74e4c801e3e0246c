"""What all providers share: both keys or none, and one regenerate whose outcome is never guessed."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from rotation.cloud.transport import once
from rotation.errors import NotYetTrue, RotationError, Throttled, Transient, Unavailable, Unexpected
from rotation.model import AccountId, Sensitive, Slot
from rotation.ports import Lease

Keys = Mapping[Slot, Sensitive]

SAFE: Mapping[str, Any] = {"retry_on_methods": ("GET", "POST")}
"""Options of a call that may be repeated although it is a POST: listing keys changes nothing."""

_READ_SECONDS = 60
"""An answer is awaited longer than others where a request that we give up and the service applies all the same would
change a key behind our back."""


def regenerating(lease: Lease) -> Mapping[str, Any]:
    """Options of the call that regenerates."""
    return {**once(lease), "read_timeout": _READ_SECONDS}


def both(account: AccountId, keys: Mapping[Slot, str | None]) -> Keys:
    """Wrap the keys of an answer; an answer without both of them is not one that we understand."""
    missing = [slot for slot, key in keys.items() if not key]
    if missing:
        raise Unexpected(f"the service answered without {' and '.join(missing)} of {account.name}")
    return {slot: Sensitive(key) for slot, key in keys.items() if key}


async def settle(
    account: AccountId,
    slot: Slot,
    before: Sensitive,
    *,
    regenerate: Callable[[], Awaitable[Keys]],
    list_keys: Callable[[], Awaitable[Keys]],
) -> Sensitive:
    """Regenerate once and return the new key; where the answer is lost, a changed key means that it was done.

    A clear refusal is raised as it is, since the service has not acted on it; so is what was not sent,
    and NotYetTrue, since it still acts.
    """
    doubt: Transient | Unexpected | None = None
    try:
        keys = await regenerate()
    except NotYetTrue:
        raise
    except (Transient, Unexpected) as failure:
        if not failure.sent:
            raise
        doubt = failure
        keys = await looked_up(account, slot, failure, list_keys)
    if keys[slot] != before:
        return keys[slot]
    if isinstance(doubt, Transient):
        raise doubt
    raise Unavailable(f"{slot} of {account.name} was not regenerated; the next pass tries again") from doubt


async def looked_up(
    account: AccountId, slot: Slot, doubt: Transient | Unexpected | None, list_keys: Callable[[], Awaitable[Keys]]
) -> Keys:
    """Both keys, to tell by them what a regenerate has done.

    Raises Unavailable where nobody tells, since it may still be done, unless it was refused for a quota.
    """
    try:
        return await list_keys()
    except RotationError as unseen:
        if isinstance(doubt, Throttled):
            raise doubt from unseen
        raise Unavailable(f"whether {slot} of {account.name} was regenerated is not known: {unseen}") from unseen
