"""Azure Storage accounts."""

import re
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rotation.cloud.connection import Connection
from rotation.cloud.translate import translated
from rotation.errors import Refused, Unexpected
from rotation.model import AccountId, Format, Obstacle, Reason, Sensitive, Slot
from rotation.ports import Description, Lease, Probe
from rotation.providers._probing import can_sign, probed
from rotation.providers._render import as_json
from rotation.providers._settle import SAFE, Keys, both, regenerating, settle

if TYPE_CHECKING:
    from azure.mgmt.storage.aio import StorageManagementClient
    from azure.mgmt.storage.models import StorageAccount, StorageAccountListKeysResult

# AuthorizationFailure is missing on purpose: it means the account's network rules.
# A key that the account does not permit opens nothing, whatever the reason.
_REFUSALS = frozenset({"AuthenticationFailed", "KeyBasedAuthenticationNotPermitted"})

_HOST = re.compile(r"(?P<name>[a-z0-9]+)\.(?:(?P<zone>z\d+)\.)?(?P<service>blob|file)\.(?P<suffix>[a-z0-9.-]+)")


class Storage:
    """Rotates storage accounts; Kerberos keys are left alone."""

    resource_type = "Microsoft.Storage/storageAccounts"
    slots: tuple[Slot, Slot] = ("key1", "key2")
    formats = frozenset({Format.KEY, Format.CONNECTION_STRING, Format.JSON})
    rights: tuple[str, ...] = (
        "Microsoft.Storage/storageAccounts/read",
        "Microsoft.Storage/storageAccounts/listKeys/action",
        "Microsoft.Storage/storageAccounts/regenerateKey/action",
    )

    def __init__(self, connection: Connection, own_storage: frozenset[str]) -> None:
        """`own_storage` are the accounts that this app itself opens with a key, in lower case."""
        self._connection = connection
        self._own_storage = own_storage
        self._client = cache(self._open)

    async def describe(self, account: AccountId) -> Description:
        """Read the account, whether it accepts keys at all, and whether we live on one of them."""
        accounts = self._client(account.subscription).storage_accounts
        with translated(f"read {account.name}"):
            found = await accounts.get_properties(account.resource_group, account.name)
        obstacles = []
        # A missing setting means that keys are accepted.
        if found.allow_shared_key_access is False:
            obstacles.append(_keys_off(account))
        if account.name.lower() in self._own_storage:
            obstacles.append(_own_storage(account))
        return Description(account, _endpoint(account, found), tuple(obstacles))

    async def list_keys(self, account: AccountId) -> Keys:
        """Both keys."""
        accounts = self._client(account.subscription).storage_accounts
        with translated(f"list the keys of {account.name}"):
            return _keys(account, await accounts.list_keys(account.resource_group, account.name, **SAFE))

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
            case Format.CONNECTION_STRING:
                return Sensitive(_connection_string(description, key))
            case Format.JSON:
                return as_json(description, key)

    async def probe(self, description: Description, key: Sensitive) -> Probe:
        """Ask the blob service which kind of account it is; an account without blobs cannot be asked."""
        from azure.storage.blob.aio import BlobServiceClient

        if ".blob." not in description.endpoint:
            return Probe.UNREACHABLE
        if not can_sign(key):
            return Probe.REFUSED
        client = BlobServiceClient(
            description.endpoint,
            # A tag may spell the name in capitals, and the signature may not.
            {"account_name": description.account.name.lower(), "account_key": key.reveal()},
            **self._connection.probe_options(),
        )
        return await probed(client.get_account_information, _REFUSALS)

    async def _regenerate(self, account: AccountId, slot: Slot, lease: Lease) -> Keys:
        accounts = self._client(account.subscription).storage_accounts
        with translated(f"regenerate {slot} of {account.name}"):
            return _keys(
                account,
                await accounts.regenerate_key(
                    account.resource_group, account.name, {"keyName": slot}, **regenerating(lease)
                ),
            )

    def _open(self, subscription: str) -> "StorageManagementClient":
        from azure.mgmt.storage.aio import StorageManagementClient

        return StorageManagementClient(self._connection.credential, subscription, **self._connection.arm_options())


def _keys(account: AccountId, answer: "StorageAccountListKeysResult") -> Keys:
    # Not `answer.keys`: the model is a mapping, and that is its method.
    found = {key.key_name: key.value for key in answer.keys_property or ()}
    return both(account, {slot: found.get(slot) for slot in Storage.slots})


def _endpoint(account: AccountId, found: "StorageAccount") -> str:
    endpoints = found.primary_endpoints
    # Premium file shares have no blobs.
    endpoint: str | None = endpoints and (endpoints.blob or endpoints.file)
    if not endpoint:
        raise Unexpected(f"{account.name} has neither a blob nor a file endpoint")
    return endpoint.rstrip("/")


def _connection_string(description: Description, key: Sensitive) -> str:
    """The portal's form, with the suffix of the account's own endpoint.

    Accounts with a DNS zone (`NAME.z01.blob.storage.azure.net`) have no suffix that a client could complete,
    so all their endpoints are spelled out.
    """
    name = description.account.name.lower()
    host = _HOST.fullmatch(urlsplit(description.endpoint).hostname or "")
    if host is None or host["name"] != name:
        raise Refused(
            f"cannot make a connection string from the endpoint of {name}, {description.endpoint}; "
            "publish the key alone or as json"
        )
    start = f"DefaultEndpointsProtocol=https;AccountName={name};AccountKey={key.reveal()}"
    if host["zone"] is None:
        return f"{start};EndpointSuffix={host['suffix']}"
    services = ("Blob", "Queue", "Table", "File")
    domain = f"{host['name']}.{host['zone']}"
    endpoints = (f"{service}Endpoint=https://{domain}.{service.lower()}.{host['suffix']}/" for service in services)
    return ";".join((start, *endpoints))


def _keys_off(account: AccountId) -> Obstacle:
    return Obstacle(
        Reason.SHARED_KEY_OFF,
        f"{account.name} does not accept keys: its allowSharedKeyAccess is false; "
        "allow them, or remove the tags from the secrets that publish its keys",
    )


def _own_storage(account: AccountId) -> Obstacle:
    return Obstacle(
        Reason.OWN_STORAGE,
        f"{account.name} holds this app's own queues, and the app opens it with its key, so a rotation would cut "
        "the app off; connect it by identity (AzureWebJobsStorage__accountName) first",
    )
