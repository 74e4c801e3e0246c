"""The past: what every key and every secret became, in the order in which it happened."""

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from operator import itemgetter
from typing import Any

from simulator.accounts import Account
from simulator.clock import stamp
from simulator.vaults import State, Vault
from simulator.verdict import key_in, named_account
from simulator.world import World

Change = tuple[float, dict[str, Any]]
"""When it happened (running time), and what."""


def history(world: World) -> list[dict[str, Any]]:
    """Every change, oldest first; an account or secret of the estate begins with one."""
    accounts = [account for name in world.accounts if (account := world.account(name))]
    changes = [change for account in accounts for change in _of_keys(account)]
    changes += [change for vault in world.vaults.values() for change in _of_secrets(world, vault)]
    return [told for _, told in sorted(changes, key=itemgetter(0))]


def _of_keys(account: Account) -> Iterator[Change]:
    for slot, line in account.slots.items():
        replaced = None
        for since, key in line.changes():
            told = {"account": account.name, "slot": slot, "key": key.fingerprint, "replaced": replaced}
            yield since, {**told, "created": stamp(key.created)}
            replaced = key.fingerprint


def _of_secrets(world: World, vault: Vault) -> Iterator[Change]:
    for name, secret in vault.secrets.items():
        for since, state in secret.changes():
            told = {"vault": vault.name, "secret": vault.names[name]}
            yield since, {**told, **(_version(world, state, since) if state else {"purged": True})}


def _version(world: World, state: State, moment: float) -> dict[str, Any]:
    """The current version as it became at that moment, with what an application could do with it then."""
    version = state.current
    account = named_account(world, version.tags or {})
    key = key_in(account, version.value) if account else None
    held = {slot: line.at(moment) for slot, line in account.slots.items()} if account else {}
    slot = next((slot for slot, known in held.items() if known and known.value == key), None)
    holder = held.get(slot) if slot else None
    return {
        "version": version.id,
        "account": account.name if account else None,
        "slot": slot,
        "key": sha256(key.encode()).hexdigest()[:12] if key else None,
        # Versions know their times to the second only.
        "accepted": holder is not None and holder.is_accepted(datetime.fromtimestamp(version.updated + 1, UTC)),
        "enabled": version.enabled,
        "deleted": state.deleted is not None,
        "created": version.created,
        "updated": version.updated,
        "expires": version.expires,
        "content_type": version.content_type,
        "tags": version.tags or {},
    }
