"""Azure Batch accounts."""

from functools import cache
from typing import TYPE_CHECKING

from azure.core.credentials import AzureNamedKeyCredential

from rotation.cloud.connection import Connection
from rotation.cloud.translate import translated
from rotation.errors import Refused, Unexpected
from rotation.model import AccountId, Format, Obstacle, Reason, Sensitive, Slot
from rotation.ports import Description, Lease, Probe
from rotation.providers._probing import can_sign, probed
from rotation.providers._render import as_json
from rotation.providers._settle import SAFE, Keys, both, regenerating, settle

if TYPE_CHECKING:
    from azure.mgmt.batch.aio import BatchManagementClient
    from azure.mgmt.batch.models import BatchAccountKeys

_REFUSALS = frozenset({"AuthenticationFailed"})


class Batch:
    """Rotates Batch accounts; they have no connection strings."""

    resource_type = "Microsoft.Batch/batchAccounts"
    slots: tuple[Slot, Slot] = ("Primary", "Secondary")
    formats = frozenset({Format.KEY, Format.JSON})
    rights: tuple[str, ...] = (
        "Microsoft.Batch/batchAccounts/read",
        "Microsoft.Batch/batchAccounts/listKeys/action",
        "Microsoft.Batch/batchAccounts/regenerateKeys/action",
    )

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client = cache(self._open)

    async def describe(self, account: AccountId) -> Description:
        """Read the account, and whether it accepts keys at all."""
        accounts = self._client(account.subscription).batch_account
        with translated(f"read {account.name}"):
            found = await accounts.get(account.resource_group, account.name)
        if not found.account_endpoint:
            raise Unexpected(f"{account.name} has no endpoint")
        modes = found.allowed_authentication_modes
        # A missing list means that every mode is allowed.
        off = modes is not None and "SharedKey" not in modes
        return Description(account, f"https://{found.account_endpoint}", (_keys_off(account),) if off else ())

    async def list_keys(self, account: AccountId) -> Keys:
        """Both keys."""
        accounts = self._client(account.subscription).batch_account
        with translated(f"list the keys of {account.name}"):
            return _keys(account, await accounts.get_keys(account.resource_group, account.name, **SAFE))

    async def regenerate(self, account: AccountId, slot: Slot, before: Sensitive, lease: Lease) -> Sensitive:
        """Replace the key in `slot` and return the new one."""
        return await settle(
            account,
            slot,
            before,
            regenerate=lambda: self._regenerate(account, slot, lease),
            list_keys=lambda: self.list_keys(account),
        )

    def render(self, description: Description, key: Sensitive, form: Format) -> Sensitive:
        """Make the text of a publication from scratch."""
        match form:
            case Format.KEY:
                return key
            case Format.JSON:
                return as_json(description, key)
        raise Refused(f"Batch accounts such as {description.account.name} have no connection string; use json")

    async def probe(self, description: Description, key: Sensitive) -> Probe:
        """Ask for one pool."""
        from azure.batch.aio import BatchClient

        if not can_sign(key):
            return Probe.REFUSED
        client = BatchClient(
            description.endpoint,
            AzureNamedKeyCredential(description.account.name, key.reveal()),
            **self._connection.probe_options(),
        )
        # The first page is one request, even when it is empty and announces another one.
        return await probed(lambda: anext(client.list_pools(max_results=1).by_page()), _REFUSALS)

    async def _regenerate(self, account: AccountId, slot: Slot, lease: Lease) -> Keys:
        accounts = self._client(account.subscription).batch_account
        with translated(f"regenerate {slot} of {account.name}"):
            return _keys(
                account,
                await accounts.regenerate_key(
                    account.resource_group, account.name, {"keyName": slot}, **regenerating(lease)
                ),
            )

    def _open(self, subscription: str) -> "BatchManagementClient":
        from azure.mgmt.batch.aio import BatchManagementClient

        return BatchManagementClient(self._connection.credential, subscription, **self._connection.arm_options())


def _keys(account: AccountId, answer: "BatchAccountKeys") -> Keys:
    return both(account, {"Primary": answer.primary, "Secondary": answer.secondary})


def _keys_off(account: AccountId) -> Obstacle:
    return Obstacle(
        Reason.SHARED_KEY_OFF,
        f"{account.name} does not accept keys: SharedKey is missing in its allowedAuthenticationModes; "
        "add it, or remove the tags from the secrets that publish its keys",
    )
