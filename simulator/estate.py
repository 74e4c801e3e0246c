"""Estate files: a description of accounts, vaults and secrets, and the world made from it."""

import json
import re
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from simulator.accounts import BATCH, KINDS, KINDS_BY_TYPE, STORAGE, WEBPUBSUB, Account, Kind, new_key
from simulator.arm import connection_string
from simulator.clock import running_time
from simulator.clouds import CLOUDS
from simulator.durations import parse_duration
from simulator.keyvault import MAX_TAG, MAX_TAGS, NAME
from simulator.timeline import ALWAYS, Timeline
from simulator.vaults import State, Vault, Version
from simulator.world import World

Json = dict[str, Any]

DEFAULT_TENANT = "72a1bd5c-1c9b-4e06-9d62-5f0a3c1f1e11"
DEFAULT_SUBSCRIPTION = "0c0ffee0-5d3a-4f43-9a52-6f1d1b7a7e55"
FORMATS = ("key", "connection-string", "json")
ACCOUNT_ID = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)/providers/(?P<type>[^/]+/[^/]+)/(?P<name>[^/]+)",
    re.IGNORECASE,
)
TAGS: Json = {"resource-id": "{id}", "active-slot": "{slot}", "validity-days": "90"}
CONNECTION_STRING_TAGS: Json = {**TAGS, "rotation-policy": "format=connection-string"}
DEFAULT_ESTATE: Json = {
    "accounts": [
        {
            "type": "storage",
            "name": "stcontosoorders",
            "resource_group": "rg-orders",
            "ages": {"key1": "P75D", "key2": "P165D"},
        },
        {
            "type": "batch",
            "name": "batchrendering",
            "resource_group": "rg-rendering",
            "ages": {"Primary": "P160D", "Secondary": "P70D"},
        },
        {
            "type": "webpubsub",
            "name": "wps-contoso-live",
            "resource_group": "rg-live",
            "ages": {"Primary": "P5D", "Secondary": "P95D"},
        },
    ],
    "vaults": [
        {
            "name": "kv-orders",
            "resource_group": "rg-orders",
            "secrets": [
                {
                    "name": "orders-storage-key",
                    "account": "stcontosoorders",
                    "slot": "key1",
                    "created": "P75D",
                    "expires": "P15D",
                    "tags": {**TAGS, "team": "orders"},
                },
                {
                    "name": "orders-storage-connection",
                    "account": "stcontosoorders",
                    "slot": "key1",
                    "format": "connection-string",
                    "created": "P75D",
                    "expires": "P15D",
                    "content_type": "text/plain",
                    "tags": CONNECTION_STRING_TAGS,
                },
                {
                    "name": "live-connection",
                    "account": "wps-contoso-live",
                    "slot": "Primary",
                    "format": "connection-string",
                    "created": "P5D",
                    "expires": "P85D",
                    "tags": CONNECTION_STRING_TAGS,
                },
                {"name": "orders-smtp-password", "created": "P200D"},
            ],
        },
        {
            "name": "kv-billing",
            "resource_group": "rg-billing",
            "secrets": [
                {
                    "name": "orders-storage-key",
                    "account": "stcontosoorders",
                    "slot": "key1",
                    "created": "P75D",
                    "expires": "P15D",
                    "tags": TAGS,
                },
                {
                    "name": "rendering-account",
                    "account": "batchrendering",
                    "slot": "Secondary",
                    "format": "json",
                    "created": "P70D",
                    "expires": "P20D",
                    "content_type": "application/json",
                    "tags": {**TAGS, "rotation-policy": "format=json"},
                },
                {
                    "name": "rendering-key",
                    "account": "batchrendering",
                    "slot": "Secondary",
                    "created": "P70D",
                    "expires": "P20D",
                    "tags": TAGS,
                },
                {"name": "invoice-signing-passphrase", "created": "P400D", "expires": "P30D"},
            ],
        },
    ],
}


class BadEstate(ValueError):
    """The estate cannot be built; `complaints` has all of them, each with its place."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__("; ".join(complaints))
        self.complaints = complaints


class Reader:
    """Takes values out of a JSON object and collects complaints instead of stopping at the first."""

    def __init__(self, told: object, place: str, complaints: list[str]) -> None:
        self.place = place
        self.complaints = complaints
        self._told: Json = told if isinstance(told, dict) else {}
        self._known: set[str] = set()
        if not isinstance(told, dict):
            self.complain("", "has to be an object")

    def complain(self, name: str, what: str) -> None:
        """Note what is wrong with a field."""
        place = ".".join(part for part in (self.place, name) if part) or "estate"
        self.complaints.append(f"{place}: {what}")

    def take(self, name: str, kind: type, default: Any = None) -> Any:  # noqa: ANN401  # whatever the estate says
        """The field, or the default where it is absent or of the wrong type (which is complained about)."""
        self._known.add(name)
        value = self._told.get(name)
        if value is None:
            return default
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.complain(name, f"has to be {_kind_name(kind)}")
            return default
        return value

    def required(self, name: str) -> str:
        """A text that has to be there."""
        value = self.take(name, str, "")
        if not value and name not in self._told:
            self.complain(name, "is missing")
        return str(value)

    def duration(self, name: str, default: timedelta | None = None) -> timedelta | None:
        """An ISO 8601 duration."""
        text = self.take(name, str)
        if text is None:
            return default
        try:
            return parse_duration(text)
        except ValueError as error:
            self.complain(name, str(error))
            return default

    def items(self, name: str) -> Iterator["Reader"]:
        """A reader for every object of a list."""
        for position, told in enumerate(self.take(name, list, [])):
            yield Reader(told, f"{self.place}.{name}[{position}]".lstrip("."), self.complaints)

    def done(self) -> None:
        """Complain about fields that nobody asked for."""
        for name in self._told:
            if name not in self._known:
                self.complain(name, "is not known")


def build(told: object) -> World:
    """The world that an estate describes, with fresh random keys; raises BadEstate with every complaint."""
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
    for account in reader.items("accounts"):
        read_account(world, account)
    for vault in reader.items("vaults"):
        _read_vault(world, vault)
    generate = reader.take("generate", dict)
    if generate is not None:
        _generate(world, Reader(generate, "generate", complaints))
    reader.done()
    if complaints:
        raise BadEstate(complaints)
    return world


def read_account(world: World, reader: Reader) -> None:
    """Add one account to the world, or complain."""
    kind, group, name = _identity(world, reader)
    location = reader.take("location", str, "westeurope")
    locked = reader.take("locked", bool, default=False)
    shared_keys = reader.take("shared_keys", bool, default=True)
    properties = reader.take("properties", dict, {})
    ages = Reader(reader.take("ages", dict, {}), f"{reader.place}.ages".lstrip("."), reader.complaints)
    lengths = {slot: ages.duration(slot, timedelta(days=30)) for slot in (kind.slots if kind else ())}
    reader.done()
    if kind is None or not name:
        return
    ages.done()
    if name.lower() in world.accounts:
        reader.complain("name", f"{name} is already there")
        return
    now = world.clock.now()
    births = {slot: now - (age or timedelta(0)) for slot, age in lengths.items()}
    world.accounts[name.lower()] = Account(
        kind=kind,
        name=name,
        subscription=world.subscription,
        resource_group=group,
        location=location,
        cloud=world.cloud,
        created=min(births.values()),
        slots={slot: Timeline(new_key(kind, birth)) for slot, birth in births.items()},
        locked=locked,
        shared_keys=shared_keys,
        properties=properties,
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
        read_secret(world, vault, secret)
    reader.done()


def read_secret(world: World, vault: Vault, reader: Reader, since: float = ALWAYS) -> None:
    """Add one secret to a vault, or complain; `since` is the running time from which lists show it."""
    name = reader.required("name")
    if name and not NAME.fullmatch(name):
        reader.complain("name", "may have letters, digits and dashes only")
    value, blanks = _value(world, reader)
    tags = _tags(reader, blanks)
    now = world.clock.now()
    created = now - (reader.duration("created") or timedelta(0))
    expires = reader.duration("expires")
    version = Version(
        value=value,
        content_type=reader.take("content_type", str),
        tags=tags,
        created=int(created.timestamp()),
        updated=int(created.timestamp()),
        enabled=reader.take("enabled", bool, default=True),
        expires=None if expires is None else int((now + expires).timestamp()),
    )
    reader.done()
    if name and vault.live(name):
        reader.complain("name", f"{name} is already there")
    vault.put(name, State((version,)), since)


def _value(world: World, reader: Reader) -> tuple[str, dict[str, str]]:
    account_name = reader.take("account", str)
    slot = reader.take("slot", str)
    form = reader.take("format", str, "key")
    text = reader.take("random", int, 32)
    if account_name is None:
        return secrets.token_urlsafe(text), {}
    account = world.account(account_name)
    if account is None:
        reader.complain("account", f"{account_name} is not in the estate")
    elif slot not in account.slots:
        reader.complain("slot", f"has to be one of {', '.join(account.slots)}")
    elif form not in FORMATS or (form == "connection-string" and account.kind is BATCH):
        reader.complain("format", f"has to be one of {', '.join(FORMATS)}, and Batch has no connection string")
    else:
        return formatted(account, slot, form), {"{id}": account.id, "{slot}": slot}
    return "", {}


def formatted(account: Account, slot: str, form: str) -> str:
    """The key of a slot in one of the formats in which applications read it."""
    key = account.slots[slot].now.value
    if form == "connection-string":
        return connection_string(account, key)
    if form == "json":
        return json.dumps({"account": account.name, "endpoint": f"https://{account.host}", "key": key})
    return key


def _tags(reader: Reader, blanks: dict[str, str]) -> dict[str, str] | None:
    told = reader.take("tags", dict)
    if told is None:
        return None
    if len(told) > MAX_TAGS:
        reader.complain("tags", f"at most {MAX_TAGS}")
    tags = {}
    for name, value in told.items():
        if not isinstance(value, str) or len(value) > MAX_TAG or len(name) > MAX_TAG:
            reader.complain(f"tags.{name}", f"has to be text of at most {MAX_TAG} characters")
            continue
        for blank, filled in blanks.items():
            value = value.replace(blank, filled)  # noqa: PLW2901  # filling blanks one by one
        tags[name] = value
    return tags


def _generate(world: World, reader: Reader) -> None:
    """A fleet: `accounts` per type, spread over `vaults`, `due` of them near their expiry."""
    counts = Reader(reader.take("accounts", dict, {}), "generate.accounts", reader.complaints)
    per_kind = {kind: counts.take(kind.name, int, 0) for kind in (BATCH, STORAGE, WEBPUBSUB)}
    counts.done()
    vaults = reader.take("vaults", int, 1)
    due = float(
        reader.take("due", float, 0.0) if isinstance(reader.take("due", object), float) else reader.take("due", int, 0)
    )
    publications = reader.take("publications", int, 1)
    reader.done()
    if vaults < 1 or not 0 <= due <= 1 or publications < 0:
        reader.complain("", "vaults has to be at least 1, due between 0 and 1, publications at least 0")
        return
    now = world.clock.now()
    fleet = [Vault(f"kv-fleet-{number:02}", "rg-fleet", "westeurope") for number in range(vaults)]
    world.vaults |= {vault.name: vault for vault in fleet}
    position = 0
    for kind, count in per_kind.items():
        for number in range(count):
            account = _fleet_account(world, kind, f"{FLEET_PREFIX[kind.name]}{number:05}", now)
            is_due = int((position + 1) * due) > int(position * due)
            for copy in range(publications):
                vault = fleet[(position + copy) % vaults]
                vault.put(*_fleet_secret(account, kind, copy, now, is_due=is_due), ALWAYS)
            position += 1


FLEET_PREFIX = {"storage": "stfleet", "batch": "batchfleet", "webpubsub": "wps-fleet-"}
FLEET_VALIDITY = timedelta(days=90)
FLEET_AGE = {True: timedelta(days=75), False: timedelta(days=10)}


def _fleet_account(world: World, kind: Kind, name: str, now: datetime) -> Account:
    births = (now - timedelta(days=100), now - timedelta(days=75))
    account = Account(
        kind=kind,
        name=name,
        subscription=world.subscription,
        resource_group="rg-fleet",
        location="westeurope",
        cloud=world.cloud,
        created=births[0],
        slots={slot: Timeline(new_key(kind, birth)) for slot, birth in zip(kind.slots, births, strict=True)},
    )
    world.accounts[name] = account
    return account


def _fleet_secret(account: Account, kind: Kind, copy: int, now: datetime, *, is_due: bool) -> tuple[str, State]:
    slot = kind.slots[0]
    created = now - FLEET_AGE[is_due]
    forms = ("key", "json" if kind is BATCH else "connection-string")
    form = forms[copy % 2]
    version = Version(
        value=formatted(account, slot, form),
        content_type=None,
        tags={
            "resource-id": account.id,
            "active-slot": slot,
            "validity-days": str(FLEET_VALIDITY.days),
            **({"rotation-policy": f"format={form}"} if form != "key" else {}),
        },
        created=int(created.timestamp()),
        updated=int(created.timestamp()),
        expires=int((created + FLEET_VALIDITY).timestamp()),
    )
    return f"{account.name}-{copy}", State((version,))


def _kind_name(kind: type) -> str:
    names = {str: "text", int: "a whole number", bool: "true or false", list: "a list", dict: "an object"}
    return names.get(kind, kind.__name__)


__all__ = [
    "DEFAULT_ESTATE",
    "STORAGE",
    "BadEstate",
    "Reader",
    "build",
    "formatted",
    "read_account",
    "read_secret",
    "running_time",
]
