"""Accounts with two access keys: what the three services have in common, and where they differ."""

import base64
import hashlib
import secrets
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulator.clouds import Cloud
from simulator.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Kind:
    """One service, as Azure Resource Manager knows it."""

    name: str
    resource_type: str
    slots: tuple[str, str]
    key_bytes: int
    list_action: str
    regenerate_action: str

    @property
    def read(self) -> str:
        """The right to see an account of this kind."""
        return f"{self.resource_type}/read"

    @property
    def list_keys(self) -> str:
        """The right to list its keys, spelled as roles spell it."""
        return f"{self.resource_type}/{self.list_action.lower()}/action"

    @property
    def regenerate(self) -> str:
        """The right to regenerate one of them."""
        return f"{self.resource_type}/{self.regenerate_action.lower()}/action"

    @property
    def actions(self) -> tuple[str, ...]:
        """All three rights."""
        return (self.read, self.list_keys, self.regenerate)


STORAGE = Kind("storage", "Microsoft.Storage/storageAccounts", ("key1", "key2"), 64, "listKeys", "regenerateKey")
BATCH = Kind("batch", "Microsoft.Batch/batchAccounts", ("Primary", "Secondary"), 64, "listKeys", "regenerateKeys")
WEBPUBSUB = Kind(
    "webpubsub",
    "Microsoft.SignalRService/WebPubSub",
    ("Primary", "Secondary"),
    32,
    "listKeys",
    "regenerateKey",
)
KINDS = {kind.name: kind for kind in (STORAGE, BATCH, WEBPUBSUB)}
KINDS_BY_TYPE = {kind.resource_type.lower(): kind for kind in KINDS.values()}


@dataclass(frozen=True, slots=True)
class Key:
    """An access key; it cannot be printed by accident."""

    value: str = field(repr=False)
    created: datetime
    accepted_from: datetime | None = None

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that identify the key and do not give it away."""
        return hashlib.sha256(self.value.encode()).hexdigest()[:12]

    def is_accepted(self, moment: datetime) -> bool:
        """Whether the data plane knows the key already."""
        return self.accepted_from is None or self.accepted_from <= moment


def new_key(kind: Kind, created: datetime, accepted_from: datetime | None = None) -> Key:
    """A random key of the length this service uses."""
    value = base64.b64encode(secrets.token_bytes(kind.key_bytes)).decode()
    return Key(value, created, accepted_from)


@dataclass(slots=True)
class Operation:
    """A regenerate that goes on after its answer: the slots get their `keys` at running time `ends`."""

    keys: dict[str, Key]
    started: datetime
    ends: float
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    ended: datetime | None = None


@dataclass(slots=True, eq=False)
class Account:
    """One ARM resource with two access keys."""

    kind: Kind
    name: str
    subscription: str
    resource_group: str
    location: str
    cloud: Cloud
    created: datetime
    slots: dict[str, Timeline[Key]]
    locked: bool = False
    shared_keys: bool = True
    properties: dict[str, Any] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    containers: dict[str, "Container"] = field(default_factory=dict)

    @property
    def group_scope(self) -> str:
        """The ARM id of the resource group."""
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"

    @property
    def id(self) -> str:
        """The ARM id."""
        return f"{self.group_scope}/providers/{self.kind.resource_type}/{self.name}"

    @property
    def host(self) -> str:
        """The host name of the data plane (of the blob service, for storage)."""
        domains = {
            STORAGE: f"blob.{self.cloud.storage}",
            BATCH: f"{self.location}.{self.cloud.batch}",
            WEBPUBSUB: self.cloud.webpubsub,
        }
        return f"{self.name}.{domains[self.kind]}".lower()

    def accepted(self, moment: datetime) -> dict[str, str]:
        """The current keys that open the data plane at `moment`, by slot."""
        current = {slot: line.now for slot, line in self.slots.items()}
        return {slot: key.value for slot, key in current.items() if key.is_accepted(moment)}

    def running(self) -> Operation | None:
        """The regenerate that has not ended yet."""
        return next((operation for operation in self.operations.values() if operation.ended is None), None)

    def all_keys(self) -> list[Key]:
        """Every key that this account ever had or promised."""
        had = [key for line in self.slots.values() for key in line.states()]
        running = self.running()
        return had + list(running.keys.values()) if running else had


@dataclass(slots=True)
class Blob:
    """A block blob."""

    content: bytes = field(repr=False)
    content_type: str
    modified: datetime
    etag: str = field(default_factory=lambda: f'"0x{secrets.token_hex(8).upper()}"')


@dataclass(slots=True)
class Container:
    """A blob container."""

    modified: datetime
    blobs: dict[str, Blob] = field(default_factory=dict)
    etag: str = field(default_factory=lambda: f'"0x{secrets.token_hex(8).upper()}"')
