"""Estate files: a description of accounts, vaults and secrets, and the world made from it."""

import json
import re
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

from simulator.accounts import KINDS, KINDS_BY_TYPE, Account, Kind, new_key
from simulator.clouds import CLOUDS, locate
from simulator.fleet import generate, read_fleet
from simulator.formats import formatted
from simulator.keyvault import MAX_TAG, MAX_TAGS, NAME
from simulator.reader import Reader
from simulator.timeline import ALWAYS, Timeline
from simulator.vaults import State, Vault, Version
from simulator.world import Player, World

DEFAULT_TENANT = "72a1bd5c-1c9b-4e06-9d62-5f0a3c1f1e11"
DEFAULT_SUBSCRIPTION = "0c0ffee0-5d3a-4f43-9a52-6f1d1b7a7e55"
DEFAULT_KEY_AGE = timedelta(days=30)
RANDOM_BYTES = 32
PORTS = range(1, 65536)
HOST = re.compile(r"[a-z0-9.-]+")
ACCOUNT_ID = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)"
    r"/providers/(?P<type>[^/]+/[^/]+)/(?P<name>[^/]+)",
    re.IGNORECASE,
)


class EstateError(ValueError):
    """The estate cannot be built; `complaints` has all of them, each with its place."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__("; ".join(complaints))
        self.complaints = complaints


def default_estate() -> dict[str, Any]:
    """The small estate that is used when none is given."""
    estate: dict[str, Any] = json.loads(Path(__file__).with_name("default_estate.json").read_text())
    return estate


def build(told: object) -> World:
    """The world that an estate describes, with fresh random keys; raises EstateError with every complaint."""
    complaints: list[str] = []
    reader = Reader(told, "", complaints)
    cloud = reader.take("cloud", str, "public")
    if cloud not in CLOUDS:
        reader.complain("cloud", f"has to be one of {', '.join(CLOUDS)}")
    world = World(
        cloud=CLOUDS.get(cloud, CLOUDS["public"]),
        tenant=reader.take("tenant", str, DEFAULT_TENANT),
        subscription=reader.take("subscription", str, DEFAULT_SUBSCRIPTION),
    )
    for item in reader.items("accounts"):
        if account := read_account(world, item):
            world.accounts.setdefault(account.name.lower(), account)
    for vault in reader.items("vaults"):
        _read_vault(world, vault)
    for item in reader.items("elsewhere"):
        _read_elsewhere(world, item)
    fleet = read_fleet(reader.inner("generate")) if reader.has("generate") else None
    reader.done()
    if complaints:
        raise EstateError(complaints)
    if fleet:
        generate(world, fleet)
    return world


def read_account(world: World, reader: Reader) -> Account | None:
    """Read one account; None where it cannot even be told what it is."""
    kind, group, name = _identity(world, reader)
    ages = reader.inner("ages")
    told = {
        "location": reader.take("location", str, "westeurope"),
        "locked": reader.take("locked", bool, default=False),
        "shared_keys": reader.take("shared_keys", bool, default=True),
        "properties": reader.take("properties", dict, {}),
    }
    reader.done()
    if kind is None:
        return None
    if name.lower() in world.accounts:
        reader.complain("name", f"{name} is already there")
    now = world.clock.now()
    births = {slot: now - (ages.duration(slot) or DEFAULT_KEY_AGE) for slot in kind.slots}
    ages.done()
    return Account(
        kind=kind,
        name=name,
        subscription=world.subscription,
        resource_group=group,
        cloud=world.cloud,
        created=min(births.values()),
        slots={slot: Timeline(new_key(kind, birth)) for slot, birth in births.items()},
        **told,
    )


def _identity(world: World, reader: Reader) -> tuple[Kind | None, str, str]:
    account_id = reader.take("id", str)
    if account_id is None:
        type_name = reader.required("type")
        kind = KINDS.get(type_name) or KINDS_BY_TYPE.get(type_name.lower())
        if type_name and kind is None:
            reader.complain("type", f"has to be one of {', '.join(KINDS)}")
        return kind, reader.required("resource_group"), reader.required("name")
    found = ACCOUNT_ID.fullmatch(account_id)
    kind = KINDS_BY_TYPE.get(found["type"].lower()) if found else None
    if found is None or kind is None:
        reader.complain("id", "is not the ARM id of a storage, Batch or Web PubSub account")
        return None, "", ""
    if found["subscription"].lower() != world.subscription.lower():
        reader.complain("id", f"is not in the subscription of the estate, {world.subscription}")
    return kind, found["group"], found["name"]


def _read_elsewhere(world: World, reader: Reader) -> None:
    host, port = reader.required("host").lower(), reader.take("port", int, 0)
    if host and (locate(host, world.cloud) is None or not HOST.fullmatch(host)):
        reader.complain("host", "is not a host of Azure")
    if port not in PORTS:
        reader.complain("port", f"has to be from {PORTS[0]} to {PORTS[-1]}")
    if host in world.elsewhere:
        reader.complain("host", f"{host} is already there")
    world.elsewhere[host] = Player(port, reader.take("account_key", str))
    reader.done()


def _read_vault(world: World, reader: Reader) -> None:
    name = reader.required("name")
    vault = Vault(
        name,
        reader.take("resource_group", str, "rg-vaults"),
        reader.take("location", str, "westeurope"),
        firewall=reader.take("firewall", bool, default=False),
    )
    if name.lower() in world.vaults:
        reader.complain("name", f"{name} is already there")
    world.vaults[name.lower()] = vault
    for secret in reader.items("secrets"):
        vault.put(*read_secret(world, vault, secret), ALWAYS)
    reader.done()


def read_secret(world: World, vault: Vault, reader: Reader) -> tuple[str, State]:
    """Read one secret that is going to be in this vault: its name and its first state."""
    name = reader.required("name")
    if name and not NAME.fullmatch(name):
        reader.complain("name", "may have letters, digits and dashes only")
    if vault.live(name):
        reader.complain("name", f"{name} is already there")
    value, blanks = _value(world, reader)
    now = world.clock.now()
    created = int((now - (reader.duration("created") or timedelta(0))).timestamp())
    expires = reader.duration("expires")
    version = Version(
        value=value,
        content_type=reader.take("content_type", str),
        tags=_tags(reader, blanks),
        created=created,
        updated=created,
        enabled=reader.take("enabled", bool, default=True),
        expires=None if expires is None else int((now + expires).timestamp()),
    )
    reader.done()
    return name, State((version,))


def _value(world: World, reader: Reader) -> tuple[str, dict[str, str]]:
    """The secret's value, and what `{id}` and `{slot}` stand for in its tags."""
    account_name = reader.take("account", str)
    slot = reader.take("slot", str)
    form = reader.take("format", str, "key")
    if account_name is None:
        return secrets.token_urlsafe(RANDOM_BYTES), {}
    account = world.account(account_name)
    if account is None:
        reader.complain("account", f"{account_name} is not in the estate")
        return "", {}
    if slot not in account.slots:
        reader.complain("slot", f"has to be one of {', '.join(account.slots)}")
        return "", {}
    try:
        return formatted(account, slot, form), {"{id}": account.id, "{slot}": slot}
    except ValueError as error:
        reader.complain("format", str(error))
        return "", {}


def _tags(reader: Reader, blanks: dict[str, str]) -> dict[str, str] | None:
    if not reader.has("tags"):
        return None
    told = reader.take("tags", dict, {})
    if len(told) > MAX_TAGS:
        reader.complain("tags", f"has to have at most {MAX_TAGS}")
    tags = {name: _filled(value, blanks) for name, value in told.items()}
    for name, value in tags.items():
        if not isinstance(value, str) or max(len(name), len(value)) > MAX_TAG:
            reader.complain(f"tags.{name}", f"has to be text of at most {MAX_TAG} characters")
    return tags


def _filled(value: Any, blanks: dict[str, str]) -> Any:  # noqa: ANN401  # complained about by the caller
    for blank, filling in blanks.items():
        value = value.replace(blank, filling) if isinstance(value, str) else value
    return value
