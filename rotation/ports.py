"""What the engine needs from the world, as protocols; `cloud/` and `providers/` speak to Azure behind them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from rotation.model import AccountId, Format, Limits, Obstacle, Secret, Sensitive, Slot


class Clock(Protocol):
    """The time, and waiting for it."""

    def now(self) -> datetime:
        """Return the time, aware and in UTC."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A new version of a secret: everything that one `set_secret` writes."""

    value: Sensitive
    tags: Mapping[str, str]
    expires: datetime
    content_type: str | None = None
    replaces: Secret | None = None
    """The secret as it was when this was made from it; None for one that did not exist."""


class Vault(Protocol):
    """One allowed Key Vault.

    Every method raises a `Transient` when waiting helps and a `NeedsOperator` when a person must act.
    """

    @property
    def name(self) -> str:
        """The vault's name, in lower case."""

    def list(self) -> AsyncIterator[Secret]:
        """Every secret of the vault, without versions and values."""

    async def read(self, name: str) -> Secret:
        """The current version with its value; raises SecretDisabled, SecretDeleted or NotFound."""

    async def publish(self, name: str, draft: Draft, lease: "Lease") -> Secret:
        """Write a new version in one call; a lost answer is settled by reading back, so at most one is written."""

    async def amend(self, current: Secret, tags: Mapping[str, str], lease: "Lease") -> None:
        """Replace all tags of the current version and nothing else; a lost answer is settled by reading back."""


@dataclass(frozen=True, slots=True)
class Description:
    """What the control plane says of an account, read once per pass."""

    account: AccountId
    endpoint: str
    """Where the account answers: a URL for Batch and Web PubSub, the blob endpoint for Storage."""
    obstacles: tuple[Obstacle, ...] = ()


class Probe(StrEnum):
    """What the data plane said to a request signed with a key."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


class Provider(Protocol):
    """One kind of account with two keys.

    Every method raises a `Transient` when waiting helps and a `NeedsOperator` when a person must act.
    """

    resource_type: str
    """As in a resource id, matched without case: `Microsoft.Storage/storageAccounts`."""
    slots: tuple[Slot, Slot]
    formats: frozenset[Format]
    rights: tuple[str, ...]
    """The ARM actions it calls, as a role definition spells them."""

    async def describe(self, account: AccountId) -> Description:
        """Read the account, and what forbids to rotate its keys."""

    async def list_keys(self, account: AccountId) -> Mapping[Slot, Sensitive]:
        """Both keys; raises ReadOnlyLock or SharedKeyOff where the service will not list them."""

    async def regenerate(self, account: AccountId, slot: Slot, before: Sensitive, lease: "Lease") -> Sensitive:
        """Replace the key in `slot` and return the new one.

        The request is sent once. A lost or failed answer is settled by listing: a key other than `before` means done.
        Raises Unavailable when it cannot be settled or did not happen.
        """

    def render(self, description: Description, key: Sensitive, form: Format) -> Sensitive:
        """Make the text of a publication from scratch."""

    async def probe(self, description: Description, key: Sensitive) -> Probe:
        """Ask the data plane for something cheap, signed with the key; never raises for an answer or a lost one."""


class Lease(Protocol):
    """The right to change one account, held for a while."""

    def ensure(self) -> None:
        """Raise LeaseLost unless the lease is still ours; called where a change leaves, once there is a connection."""

    def abandon(self) -> None:
        """Let the lease run out by itself, within a minute, instead of giving it back at the end."""


class Leases(Protocol):
    """Keeps passes on one account apart."""

    def hold(self, account: AccountId) -> AbstractAsyncContextManager[Lease]:
        """Hold the account while inside; entering raises Busy when another pass has it."""


class Providers(Protocol):
    """The kinds of accounts that are known."""

    def for_type(self, resource_type: str) -> Provider:
        """Return the provider of a resource type, matched without case; raises Refused for an unknown one."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What the engine works with; made once per process."""

    vaults: Mapping[str, Vault]
    """The allowed vaults by name, and no others."""
    providers: Providers
    leases: Leases
    clock: Clock
    limits: Limits
