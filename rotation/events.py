"""Reads the Key Vault events that Event Grid delivers, in its own schema and as CloudEvents.

The documents' own sample has a blank behind a key and before a version, and numbers as strings, so names and values
are read without their blanks, and nothing is read that is not needed.
Source: learn.microsoft.com/azure/event-grid/event-schema-key-vault.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from rotation.errors import BadInput
from rotation.model import Occasion, SecretRef

NEAR_EXPIRY = "Microsoft.KeyVault.SecretNearExpiry"
EXPIRED = "Microsoft.KeyVault.SecretExpired"

_VERSION = re.compile(r"[0-9a-z]{1,64}", re.IGNORECASE | re.ASCII)
"""Key Vault's have 32 digits; what is no version does not get into a message of the queue."""


@dataclass(frozen=True, slots=True)
class ExpiryEvent:
    """A secret version is about to expire, or has expired."""

    id: str
    kind: str
    occasion: Occasion


def read_event(event: Mapping[str, object]) -> ExpiryEvent | None:
    """Read one event; None for a kind that is not ours, BadInput for one of ours that cannot be understood."""
    kind = kind_of(event)
    ours = {known.lower(): known for known in (NEAR_EXPIRY, EXPIRED)}
    if kind.lower() not in ours:
        return None
    data = event.get("data")
    if not isinstance(data, Mapping):
        raise BadInput(f"a {kind} event without data")
    vault, name, version = (_text(data, field) for field in ("VaultName", "ObjectName", "Version"))
    try:
        ref = SecretRef.parse(f"{vault}/{name}")
    except ValueError as error:
        raise BadInput(f"a {kind} event whose VaultName and ObjectName name no secret") from error
    if not _VERSION.fullmatch(version):
        raise BadInput(f"a {kind} event for {ref} that names no version")
    return ExpiryEvent(_text(event, "id"), ours[kind.lower()], Occasion(ref, version.lower()))


def envelope(text: str | bytes) -> Mapping[str, object] | None:
    """Return the event that Event Grid has put into the queue by itself; None for whatever else stands there."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and content.keys() & {"eventType", "specversion"} else None


def kind_of(event: Mapping[str, object]) -> str:
    """What kind of event it says it is; empty where that is no text."""
    return _text(event, "eventType") or _text(event, "type")


def _text(fields: Mapping[str, object], name: str) -> str:
    """A text by its name, matched without blanks and case; empty when there is none."""
    for key, value in fields.items():
        if key.strip().lower() == name.lower() and isinstance(value, str):
            return value.strip()
    return ""
