"""Azure Web PubSub services."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import AzureError
from azure.core.polling.base_polling import BadResponse, BadStatus

from rotation.cloud.connection import Connection
from rotation.cloud.translate import translated
from rotation.errors import NotYetTrue, Throttled, Transient, Unexpected
from rotation.model import AccountId, Format, Obstacle, Reason, Sensitive, Slot
from rotation.ports import Description, Lease, Probe
from rotation.providers._probing import probed
from rotation.providers._render import as_json
from rotation.providers._settle import SAFE, Keys, both, looked_up, regenerating, settle

if TYPE_CHECKING:
    from azure.mgmt.core.polling.async_arm_polling import AsyncARMPolling
    from azure.mgmt.webpubsub.aio import WebPubSubManagementClient
    from azure.mgmt.webpubsub.models import WebPubSubKeys

_LOST_PATIENCE = timedelta(seconds=150)
"""How long a new key may take to show when nobody knows whether an operation runs; recorded ones took 19 and 74 s."""

_DENIED_PATIENCE = timedelta(seconds=5)
"""The same after a 429, which says that none was begun: to go on asking would keep the quota exceeded."""

_PATIENCE = timedelta(minutes=10)
"""How long an operation that was accepted is awaited: to give it up means to begin another one in the next pass."""

_FIRST_PAUSE, _PAUSE_GROWTH, _LONGEST_PAUSE = 1.0, 1.5, 5.0
"""Seconds between questions: the service names no interval, and the SDK's default is 30."""

_FAILURES = frozenset({"failed", "canceled"})

_HUB = "probe"
_CONNECTION = "probe"


class WebPubSub:
    """Rotates Web PubSub services, whose keys change in an operation that goes on after the answer."""

    resource_type = "Microsoft.SignalRService/webPubSub"
    slots: tuple[Slot, Slot] = ("Primary", "Secondary")
    formats = frozenset({Format.KEY, Format.CONNECTION_STRING, Format.JSON})
    rights: tuple[str, ...] = (
        "Microsoft.SignalRService/webPubSub/read",
        "Microsoft.SignalRService/webPubSub/listKeys/action",
        "Microsoft.SignalRService/webPubSub/regenerateKey/action",
    )

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._clock = connection.clock
        self._client = cache(self._open)

    async def describe(self, account: AccountId) -> Description:
        """Read the service, and whether it accepts keys at all."""
        services = self._client(account.subscription).web_pub_sub
        with translated(f"read {account.name}"):
            found = await services.get(account.resource_group, account.name)
        if not found.host_name:
            raise Unexpected(f"{account.name} has no host name")
        obstacles = (_keys_off(account),) if found.disable_local_auth else ()
        return Description(account, f"https://{found.host_name}", obstacles)

    async def list_keys(self, account: AccountId) -> Keys:
        """Both keys."""
        services = self._client(account.subscription).web_pub_sub
        with translated(f"list the keys of {account.name}"):
            return _keys(account, await services.list_keys(account.resource_group, account.name, **SAFE))

    async def regenerate(self, account: AccountId, slot: Slot, before: Sensitive, lease: Lease) -> Sensitive:
        """Replace the key in `slot` and return the new one once the service has put it into effect."""
        return await settle(
            account,
            slot,
            before,
            regenerate=lambda: self._regenerate(account, slot, before, lease),
            list_keys=lambda: self.list_keys(account),
        )

    def render(self, description: Description, key: Sensitive, form: Format) -> Sensitive:
        """Make the text of a publication from scratch."""
        match form:
            case Format.KEY:
                return key
            case Format.CONNECTION_STRING:
                return Sensitive(f"Endpoint={description.endpoint};AccessKey={key.reveal()};Version=1.0;")
            case Format.JSON:
                return as_json(description, key)

    async def probe(self, description: Description, key: Sensitive) -> Probe:
        """Ask whether some connection exists; "no" is as good an answer as "yes"."""
        from azure.messaging.webpubsubservice.aio import WebPubSubServiceClient

        if not key.reveal():
            return Probe.REFUSED
        client = WebPubSubServiceClient(
            description.endpoint, _HUB, AzureKeyCredential(key.reveal()), **self._connection.probe_options()
        )
        return await probed(lambda: client.connection_exists(_CONNECTION))

    async def _regenerate(self, account: AccountId, slot: Slot, before: Sensitive, lease: Lease) -> Keys:
        """Start the operation, await its end, and list the keys until the new one is there.

        The answer to the request has the new key too, but before it works.
        """
        doubt: Transient | Unexpected | None = None
        try:
            operation = await self._start(account, slot, lease)
        except (Transient, Unexpected) as failure:
            if not failure.sent:
                raise
            # The operation may be running all the same.
            doubt = failure
            deadline = self._clock.now() + (_DENIED_PATIENCE if isinstance(failure, Throttled) else _LOST_PATIENCE)
        else:
            deadline = self._clock.now() + _PATIENCE
            await self._follow(operation, f"{slot} of {account.name}", deadline)
        keys: Keys = {}

        async def changed() -> bool:
            nonlocal keys
            keys = await looked_up(account, slot, doubt, lambda: self.list_keys(account))
            return keys[slot] != before

        if await self._until(changed, deadline):
            return keys
        raise doubt or NotYetTrue(f"{slot} of {account.name} has not changed yet")

    async def _start(self, account: AccountId, slot: Slot, lease: Lease) -> "AsyncARMPolling":
        from azure.mgmt.core.polling.async_arm_polling import AsyncARMPolling
        from azure.mgmt.webpubsub.models import RegenerateKeyParameters

        # A broken connection is tried again by us, at our own pace.
        operation = AsyncARMPolling(retry_connect=0, retry_read=0)
        with translated(f"regenerate {slot} of {account.name}"):
            await self._client(account.subscription).web_pub_sub.begin_regenerate_key(
                account.resource_group,
                account.name,
                RegenerateKeyParameters(key_type=slot),
                polling=operation,
                **regenerating(lease),
            )
        return operation

    async def _follow(self, operation: "AsyncARMPolling", what: str, deadline: datetime) -> None:
        """Ask how the operation goes until it has ended, or until we may not ask; then the keys have to tell.

        Its status is at the account in all recordings, and below the subscription in the official example:
        our identity may have no rights there.
        """

        async def ended() -> bool:
            try:
                if not operation.finished():
                    await operation.update_status()
            except AzureError:
                return False
            except (BadStatus, BadResponse, Unexpected):
                # Unexpected is raised where its address is none of Azure's.
                return True
            return operation.finished()

        if not await self._until(ended, deadline):
            raise NotYetTrue(f"the operation that regenerates {what} has not ended yet")
        if operation.status().lower() in _FAILURES:
            raise Unexpected(f"the operation that regenerates {what} ended as {operation.status()}")

    async def _until(self, true: Callable[[], Awaitable[bool]], deadline: datetime) -> bool:
        """Ask again and again, ever less often; whether it became true in time."""
        pause = _FIRST_PAUSE
        while not await true():
            if self._clock.now() >= deadline:
                return False
            await self._clock.sleep(pause)
            pause = min(pause * _PAUSE_GROWTH, _LONGEST_PAUSE)
        return True

    def _open(self, subscription: str) -> "WebPubSubManagementClient":
        from azure.mgmt.webpubsub.aio import WebPubSubManagementClient

        return WebPubSubManagementClient(self._connection.credential, subscription, **self._connection.arm_options())


def _keys(account: AccountId, answer: "WebPubSubKeys") -> Keys:
    return both(account, {"Primary": answer.primary_key, "Secondary": answer.secondary_key})


def _keys_off(account: AccountId) -> Obstacle:
    return Obstacle(
        Reason.SHARED_KEY_OFF,
        f"{account.name} does not accept keys: its disableLocalAuth is true; "
        "enable access keys, or remove the tags from the secrets that publish them",
    )
