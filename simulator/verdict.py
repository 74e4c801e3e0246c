"""The judge: does what the vaults publish open the accounts, right now?"""

import json
import re
from typing import Any

from simulator.accounts import STORAGE, Account
from simulator.vaults import Version
from simulator.world import World

ID_TAGS = ("resource-id", "ProviderAddress")
NAME_IN_ID = re.compile(r"/providers/(?P<type>[^/]+/[^/]+)/(?P<name>[^/]+)/?$", re.IGNORECASE)


def verdict(world: World) -> list[dict[str, Any]]:
    """One row per secret whose tags name an account: vault, secret, account, slot of its key, and whether it opens."""
    return [
        _row(world, vault.name, vault.names[name], state.current)
        for vault in world.vaults.values()
        for name, secret in vault.secrets.items()
        if (state := secret.now) and state.deleted is None and _address(state.current.tags or {})
    ]


def named_account(world: World, tags: dict[str, str]) -> Account | None:
    """The account that a secret's tags name, if it is there."""
    address = _address(tags) or ""
    found = NAME_IN_ID.search(address)
    account = world.account(found["name"]) if found else None
    return account if account and account.id.lower() == address.rstrip("/").lower() else None


def _address(tags: dict[str, str]) -> str | None:
    return next((tags[name] for name in ID_TAGS if name in tags), None)


def _row(world: World, vault: str, secret: str, current: Version) -> dict[str, Any]:
    tags = current.tags or {}
    account = named_account(world, tags)
    if account is None:
        return {"vault": vault, "secret": secret, "account": _address(tags), "slot": None, "opens": False}
    key = key_in(account, current.value)
    slot = next((slot for slot, line in account.slots.items() if line.now.value == key), None)
    opens = account.shared_keys and slot in account.accepted(world.clock.now())
    return {"vault": vault, "secret": secret, "account": account.name, "slot": slot, "opens": opens}


def key_in(account: Account, value: str) -> str | None:
    """The key that an application would take out of the value, or None when it would go elsewhere with it."""
    if value.startswith("{"):
        return _key_in_json(account, value)
    if ";" in value:
        return _key_in_connection_string(account, value)
    return value


def _key_in_json(account: Account, value: str) -> str | None:
    try:
        told = json.loads(value)
    except ValueError:
        return None
    endpoint = str(told.get("endpoint", account.host)).removeprefix("https://").rstrip("/")
    leads_here = told.get("account", account.name) == account.name and endpoint == account.host
    return told.get("key") if leads_here else None


def _key_in_connection_string(account: Account, value: str) -> str | None:
    parts = dict(part.split("=", 1) for part in value.split(";") if "=" in part)
    told = {name.lower(): text for name, text in parts.items()}
    if account.kind is STORAGE:
        suffix = told.get("endpointsuffix", "core.windows.net")
        leads_here = told.get("accountname") == account.name and suffix == account.cloud.storage
        return told.get("accountkey") if leads_here else None
    endpoint = told.get("endpoint", "").removeprefix("https://").rstrip("/")
    return told.get("accesskey") if endpoint == account.host else None
