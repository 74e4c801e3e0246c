"""Key Vault behind the `Vault` port."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Any

from azure.core.pipeline import PipelineResponse
from azure.keyvault.secrets import KeyVaultSecret, SecretProperties
from azure.keyvault.secrets.aio import SecretClient

from rotation.cloud.connection import Connection
from rotation.cloud.patience import LONGEST_WAIT
from rotation.cloud.translate import translated
from rotation.cloud.transport import once
from rotation.errors import (
    ChangedMeanwhile,
    LeaseLost,
    NeedsOperator,
    NotFound,
    RotationError,
    SecretDeleted,
    Throttled,
    Transient,
)
from rotation.model import Secret, SecretRef, Sensitive
from rotation.ports import Draft, Lease
from rotation.tags import YEARS

_PAGE = 25
"""The most that Key Vault puts on a page."""

_WAITS = (1.0, 2.0, 5.0, 10.0)
"""Seconds after each failed attempt to write, unless the service says how long."""


class KeyVault:
    """One vault, reached at its URL."""

    def __init__(self, name: str, url: str, connection: Connection) -> None:
        self.name = name
        self._clock = connection.clock
        self._client = SecretClient(url, connection.credential, **connection.options(url))

    async def list(self) -> AsyncIterator[Secret]:
        """Every secret of the vault, without versions and values."""
        with translated(f"list the secrets of {self.name}"):
            listed = self._client.list_properties_of_secrets(max_page_size=_PAGE, raw_response_hook=_Pages().check)
            # From one secret to the next the SDK calls itself for each page in between that has none.
            async for page in listed.by_page():
                async for properties in page:
                    yield self._secret(properties)

    async def read(self, name: str) -> Secret:
        """The current version with its value; raises SecretDisabled, SecretDeleted or NotFound."""
        try:
            with translated(f"read {self.name}/{name}"):
                # Without a version this is the newest one, even when it is disabled.
                return self._with_value(await self._client.get_secret(name))
        except NotFound as missing:
            if await self._is_recoverable(name):
                raise SecretDeleted(
                    f"cannot read {self.name}/{name}: it is deleted but recoverable; recover or purge it"
                ) from missing
            raise

    async def publish(self, name: str, draft: Draft, lease: Lease) -> Secret:
        """Write a new version in one call; a lost answer is settled by reading back."""
        look = partial(self._find, name, (draft.value, draft.tags), draft.replaces)
        return await self._settled(partial(self._set, name, draft, lease), look, lease)

    async def amend(self, current: Secret, tags: Mapping[str, str], lease: Lease) -> None:
        """Replace all tags of the current version and nothing else; a lost answer is settled by reading back."""
        look = partial(self._find, current.ref.name, (current.value, tags), current)
        await self._settled(partial(self._set_tags, current, tags, lease), look, lease)

    async def _settled(
        self, attempt: Callable[[], Awaitable[Secret]], look: Callable[[], Awaitable[Secret | None]], lease: Lease
    ) -> Secret:
        """Attempt a write until it is known to be done.

        Each attempt leaves only while the lease holds, and before a further one the secret must be as it was.
        Where it is given up without knowing, the lease is, too: a vault that lags would mislead who comes next.
        """
        in_doubt = False
        try:
            for wait in _WAITS:
                try:
                    return await attempt()
                except LeaseLost:
                    raise
                except Transient as lost:
                    failure = lost
                    in_doubt = in_doubt or (lost.sent and not isinstance(lost, Throttled))
                await self._clock.sleep(_pause(failure, wait))
                if written := await look():
                    return written
            raise failure
        except RotationError:
            if in_doubt:
                lease.abandon()
            raise

    async def _set(self, name: str, draft: Draft, lease: Lease) -> Secret:
        with translated(f"publish to {self.name}/{name}"):
            return self._with_value(
                await self._client.set_secret(
                    name,
                    draft.value.reveal(),
                    tags=dict(draft.tags),
                    content_type=draft.content_type,
                    expires_on=draft.expires,
                    enabled=True,
                    **once(lease),
                )
            )

    async def _set_tags(self, current: Secret, tags: Mapping[str, str], lease: Lease) -> Secret:
        name = current.ref.name
        with translated(f"change the tags of {self.name}/{name}"):
            return self._secret(
                await self._client.update_secret_properties(name, current.version, tags=dict(tags), **once(lease))
            )

    async def _find(
        self, name: str, written: tuple[Sensitive | None, Mapping[str, str]], replaces: Secret | None
    ) -> Secret | None:
        """The current version, if it has this value and these tags.

        Raises ChangedMeanwhile if it has not, and is not what was to be replaced either.
        """
        try:
            current = await self.read(name)
        except (NotFound, SecretDeleted):
            current = None
        if current and (current.value, current.tags) == written:
            return current
        if _state(current) != _state(replaces):
            raise ChangedMeanwhile(
                f"{self.name}/{name} was changed by somebody else during the pass; the next pass looks again"
            )
        return None

    async def _is_recoverable(self, name: str) -> bool:
        """Whether the secret is soft-deleted; who may not look there is told that it does not exist."""
        try:
            with translated(f"look for {self.name}/{name} among the deleted secrets"):
                await self._client.get_deleted_secret(name)
        except NeedsOperator:
            return False
        return True

    def _with_value(self, found: KeyVaultSecret) -> Secret:
        return replace(
            self._secret(found.properties),
            version=found.properties.version,
            value=Sensitive(found.value or ""),
        )

    def _secret(self, properties: SecretProperties) -> Secret:
        if properties.name is None or properties.created_on is None:
            raise ValueError("a secret without a name or a time of creation")
        return Secret(
            ref=SecretRef(self.name, properties.name.lower()),
            created=properties.created_on,
            enabled=properties.enabled is not False,
            expires=_expiry(properties.expires_on),
            content_type=properties.content_type,
            tags=properties.tags or {},
        )


class _Pages:
    """Looks at the pages of one listing."""

    def __init__(self) -> None:
        self._links: set[object] = set()

    def check(self, response: PipelineResponse[Any, Any]) -> None:
        """Raise ValueError for a good answer without a list, and for one that leads back to a page before.

        The SDK would take the first for an empty one: secrets that nobody sees are not given the next key, and lose
        the one that they have. Along the second it would go for ever.
        """
        if response.http_response.status_code != HTTPStatus.OK:
            return
        told = response.http_response.json()
        if not isinstance(told, dict) or not isinstance(told.get("value"), list):
            raise ValueError("no list of secrets")  # noqa: TRY004  like all others about an answer
        link = told.get("nextLink")
        if link and link in self._links:
            raise ValueError("a circle of pages")
        self._links.add(link)


def _expiry(told: object) -> datetime | None:
    """An expiry, as far as it can be one: nothing can be added to a time at the ends of the calendar.

    The SDK leaves what is beyond them as a number. Whoever sets one of these means none.
    """
    return told if isinstance(told, datetime) and told.year in YEARS else None


def _state(secret: Secret | None) -> tuple[object, ...] | None:
    """What a write is made from; a change of tags makes no version."""
    return (secret.version, secret.tags, secret.content_type) if secret else None


def _pause(lost: Transient, usual: float) -> float:
    asked = lost.retry_after if isinstance(lost, Throttled) else None
    return usual if asked is None else min(asked, LONGEST_WAIT)
