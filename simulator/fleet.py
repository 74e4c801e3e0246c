"""Fleets: thousands of accounts and their secrets, from a few numbers in an estate."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from simulator.accounts import BATCH, KINDS, Account, Kind, new_key
from simulator.formats import formatted
from simulator.reader import Reader
from simulator.timeline import ALWAYS, Timeline
from simulator.vaults import State, Vault, Version
from simulator.world import World

GROUP = "rg-fleet"
LOCATION = "westeurope"
PREFIXES = {"storage": "stfleet", "batch": "batchfleet", "webpubsub": "wps-fleet-"}
VALIDITY = timedelta(days=90)
DUE_AGE = timedelta(days=75)
FRESH_AGE = timedelta(days=10)
OLD_AGE = timedelta(days=100)


@dataclass(frozen=True, slots=True)
class Fleet:
    """What a `generate` section asks for."""

    counts: dict[Kind, int]
    vaults: int
    due: float
    publications: int


def read_fleet(reader: Reader) -> Fleet:
    """Read a `generate` section."""
    accounts = reader.inner("accounts")
    fleet = Fleet(
        counts={kind: accounts.take(name, int, 0) for name, kind in KINDS.items()},
        vaults=reader.take("vaults", int, 1),
        due=reader.number("due", most=1.0),
        publications=reader.take("publications", int, 1),
    )
    accounts.done()
    reader.done()
    if fleet.vaults < 1:
        reader.complain("vaults", "has to be at least 1")
    return fleet


def generate(world: World, fleet: Fleet) -> None:
    """Add the fleet to the world: `due` of its accounts are near expiry, spread evenly."""
    now = world.clock.now()
    vaults = [Vault(f"kv-fleet-{number:02}", GROUP, LOCATION) for number in range(fleet.vaults)]
    world.vaults |= {vault.name: vault for vault in vaults}
    accounts = [
        _account(world, kind, f"{PREFIXES[kind.name]}{number:05}", now)
        for kind, count in fleet.counts.items()
        for number in range(count)
    ]
    world.accounts |= {account.name: account for account in accounts}
    for position, account in enumerate(accounts):
        is_due = int((position + 1) * fleet.due) > int(position * fleet.due)
        created = now - (DUE_AGE if is_due else FRESH_AGE)
        for copy in range(fleet.publications):
            vault = vaults[(position + copy) % len(vaults)]
            vault.put(f"{account.name}-{copy}", State((_publication(account, copy, created),)), ALWAYS)


def _account(world: World, kind: Kind, name: str, now: datetime) -> Account:
    births = (now - DUE_AGE, now - OLD_AGE)
    return Account(
        kind=kind,
        name=name,
        subscription=world.subscription,
        resource_group=GROUP,
        location=LOCATION,
        cloud=world.cloud,
        created=now - OLD_AGE,
        slots={slot: Timeline(new_key(kind, birth)) for slot, birth in zip(kind.slots, births, strict=True)},
    )


def _publication(account: Account, copy: int, created: datetime) -> Version:
    """Publications of one account take turns in their format: the key alone, then what holds more."""
    slot = account.kind.slots[0]
    richer = "json" if account.kind is BATCH else "connection-string"
    form = ("key", richer)[copy % 2]
    policy = {} if form == "key" else {"rotation-policy": f"format={form}"}
    tags = {"resource-id": account.id, "active-slot": slot, "validity-days": str(VALIDITY.days)}
    moment = int(created.timestamp())
    return Version(
        value=formatted(account, slot, form),
        content_type=None,
        tags={**tags, **policy},
        created=moment,
        updated=moment,
        expires=int((created + VALIDITY).timestamp()),
    )
