"""Key Vault events, as the documents show them and as they arrive."""

from collections.abc import Mapping

import pytest

from rotation.errors import BadInput
from rotation.events import ExpiryEvent, read_event
from rotation.model import Occasion
from tests.unit.facts import KEY

VERSION = "ee059b2bb5bc48398a53b168c6cdcb10"
DATA = {
    "Id": f"https://kv-orders.vault.azure.net/secrets/storage-key/{VERSION}",
    "VaultName": "kv-orders",
    "ObjectType": "Secret",
    "ObjectName": "storage-key",
    "Version": VERSION,
    "NBF": "1559081980",
    "EXP": "1559082102",
}
EVENT: Mapping[str, object] = {
    "id": "00eccf70-95a7-4e7c-8299-2eb17ee9ad64",
    "topic": "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/rg",
    "subject": "storage-key",
    "eventType": "Microsoft.KeyVault.SecretNearExpiry",
    "eventTime": "2019-07-25T01:08:33.1036736Z",
    "data": DATA,
    "dataVersion": "1",
}
EXPECTED = ExpiryEvent(
    "00eccf70-95a7-4e7c-8299-2eb17ee9ad64", "Microsoft.KeyVault.SecretNearExpiry", Occasion(KEY, VERSION)
)


def without(fields: Mapping[str, object], name: str) -> dict[str, object]:
    """Leave one field out."""
    return {key: value for key, value in fields.items() if key != name}


GOOD: dict[str, Mapping[str, object]] = {
    "Event Grid's own schema": EVENT,
    "CloudEvents": {**without(EVENT, "eventType"), "type": EVENT["eventType"], "specversion": "1.0"},
    "the documents' sample, with blanks in names and values": {
        **EVENT,
        "data": {**without(DATA, "ObjectName"), "ObjectName ": " storage-key", "Version": f" {VERSION}"},
    },
    "numbers as numbers, and no dates at all": {**EVENT, "data": {**DATA, "NBF": None, "EXP": 1559082102}},
    "another case": {
        **EVENT,
        "eventType": "microsoft.keyvault.secretnearexpiry",
        "data": {**DATA, "VaultName": "KV-Orders", "ObjectName": "Storage-Key", "Version": VERSION.upper()},
    },
    "nothing that is not needed": {
        **EVENT,
        "data": {"vaultName": "kv-orders", "objectName": "storage-key", "version": VERSION},
    },
}


@pytest.mark.parametrize("event", GOOD.values(), ids=GOOD.keys())
def test_an_event_is_read(event: Mapping[str, object]) -> None:
    """The secret and its version are found in every form that is known."""
    assert read_event(event) == EXPECTED


def test_an_expired_secret_is_an_event_too() -> None:
    """It is the last chance that Key Vault gives."""
    read = read_event({**EVENT, "eventType": "Microsoft.KeyVault.SecretExpired"})

    assert read is not None
    assert read.kind == "Microsoft.KeyVault.SecretExpired"


@pytest.mark.parametrize(
    "event",
    [
        {},
        {**EVENT, "eventType": "Microsoft.KeyVault.SecretNewVersionCreated"},
        {**EVENT, "eventType": "Microsoft.KeyVault.KeyNearExpiry"},
        {**EVENT, "eventType": 7},
        without(EVENT, "eventType"),
    ],
)
def test_other_events_are_none_of_ours(event: Mapping[str, object]) -> None:
    """A subscription without a filter does no harm."""
    assert read_event(event) is None


BAD: dict[str, tuple[object, str]] = {
    "no data": (None, "without data"),
    "data that is a text": ("storage-key", "without data"),
    "no vault": (without(DATA, "VaultName"), "name no secret"),
    "a vault that is a URL": ({**DATA, "VaultName": "kv-orders.vault.azure.net"}, "name no secret"),
    "a vault with a path": ({**DATA, "VaultName": "kv-orders/x"}, "name no secret"),
    "no name": (without(DATA, "ObjectName"), "name no secret"),
    "a name that is a number": ({**DATA, "ObjectName": 7}, "name no secret"),
    "no version": (without(DATA, "Version"), "kv-orders/storage-key that names no version"),
    "an empty version": ({**DATA, "Version": " "}, "kv-orders/storage-key that names no version"),
}


@pytest.mark.parametrize(("data", "complaint"), BAD.values(), ids=BAD.keys())
def test_an_event_of_ours_that_says_too_little_is_refused(data: object, complaint: str) -> None:
    """S4, S7: it is not guessed which secret was meant."""
    with pytest.raises(BadInput, match=complaint):
        read_event({**EVENT, "data": data})
