"""Every official example: its request, sent to the simulator, is answered in the shape of its response."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from simulator.client import ControlClient
from tests.conformance.simulator.wire import MANAGEMENT, VAULT, Answer, send, token_for

FOLDER = Path(__file__).parent.parent / "specs" / "examples"
EXAMPLES = sorted(FOLDER.glob("*.json"))
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"

# What the example's account has switched on and a plain account has not.
FEATURES = {
    "properties.autoStorage",
    "properties.geoReplicationStats",
    "properties.geoPriorityReplicationStatus",
    "properties.primaryEndpoints.internetEndpoints",
    "properties.primaryEndpoints.microsoftEndpoints",
    "properties.routingPreference",
    "properties.sasPolicy",
    "properties.secondaryLocation",
    "properties.statusOfSecondary",
    "properties.networkAcls.resourceAccessRules[]",
    "properties.privateEndpointConnections[]",
    "properties.liveTraceConfiguration",
    "properties.resourceLogConfiguration",
    "properties.networkACLs.ipRules[]",
    "properties.networkACLs.privateEndpoints[]",
    "properties.socketIO",
    "identity.principalId",
    "identity.tenantId",
    "tags.key1",
    "tags.key2",
    # Kerberos keys exist only on accounts that are joined to Active Directory.
    "keys[2]",
}
ACCOUNT_TYPES = {"batch": "batch", "storage": "storage", "webpubsub": "webpubsub"}
ACTIONS = {
    "batch__BatchAccountGet": ("GET", ""),
    "batch__BatchAccountGetKeys": ("POST", "/listKeys"),
    "batch__BatchAccountRegenerateKey": ("POST", "/regenerateKeys"),
    "storage__StorageAccountGetProperties": ("GET", ""),
    "storage__StorageAccountListKeys": ("POST", "/listKeys"),
    "storage__StorageAccountRegenerateKey": ("POST", "/regenerateKey"),
    "webpubsub__WebPubSub_Get": ("GET", ""),
    "webpubsub__WebPubSub_ListKeys": ("POST", "/listKeys"),
    "webpubsub__WebPubSub_RegenerateKey": ("POST", "/regenerateKey"),
    "webpubsub__2021-10-01__WebPubSub_RegenerateKey": ("POST", "/regenerateKey"),
}
VAULT_REQUESTS = {
    "keyvault__SetSecret-example": ("PUT", "/secrets/{name}"),
    "keyvault__GetSecret-example": ("GET", "/secrets/{name}/{version}"),
    "keyvault__GetSecrets-example": ("GET", "/secrets"),
    "keyvault__GetSecretVersions-example": ("GET", "/secrets/{name}/versions"),
    "keyvault__UpdateSecret-example": ("PATCH", "/secrets/{name}/{version}"),
    "keyvault__DeleteSecret-example": ("DELETE", "/secrets/{name}"),
    "keyvault__GetDeletedSecret-example": ("GET", "/deletedsecrets/{name}"),
    "keyvault__RecoverDeletedSecret-example": ("POST", "/deletedsecrets/{name}/recover"),
    "keyvault__PurgeDeletedSecret-example": ("DELETE", "/deletedsecrets/{name}"),
}
REFUSED = {"storage__StorageAccountRegenerateKerbKey"}


@dataclass(frozen=True, slots=True)
class Example:
    """One official example."""

    name: str
    parameters: dict[str, Any]
    responses: dict[str, dict[str, Any]]

    @property
    def body(self) -> object:
        """What the example sends."""
        return self.parameters.get("parameters") or self.parameters.get("regenerateKey")

    @property
    def query(self) -> str:
        """The parameters in the URL."""
        told = {name: self.parameters[name] for name in ("api-version", "maxresults") if name in self.parameters}
        return "&".join(f"{name}={value}" for name, value in told.items())


def read(path: Path) -> Example:
    """Read an example file."""
    told = json.loads(path.read_text())
    return Example(path.stem, told["parameters"], told["responses"])


def lacking(official: object, ours: object, place: str = "") -> list[str]:
    """The places where our answer lacks what the official one has, or has it with another JSON type."""
    if place in FEATURES:
        return []
    if isinstance(official, dict) and isinstance(ours, dict):
        return [
            complaint
            for name, value in official.items()
            for complaint in lacking(value, ours.get(name), f"{place}.{name}".lstrip("."))
        ]
    if isinstance(official, list) and isinstance(ours, list):
        if f"{place}[]" in FEATURES:
            return []
        places = [f"{place}[{position}]" for position in range(len(official))]
        known = [(value, where) for value, where in zip(official, places, strict=True) if where not in FEATURES]
        if len(ours) < len(known):
            return [f"{place}: {len(ours)} items instead of {len(known)}"]
        return [
            complaint
            for (value, where), mine in zip(known, ours, strict=False)
            for complaint in lacking(value, mine, where)
        ]
    return (
        [] if type(official) is type(ours) else [f"{place}: {type(ours).__name__} instead of {type(official).__name__}"]
    )


def ask_arm(simulator: ControlClient, example: Example) -> Answer:
    """Send an example of Azure Resource Manager to an estate that has its account."""
    told = example.parameters
    subscription = told["subscriptionId"] if "{" not in told["subscriptionId"] else SUBSCRIPTION
    kind = ACCOUNT_TYPES[example.name.partition("__")[0]]
    name = told.get("accountName") or told["resourceName"]
    account = {"type": kind, "name": name, "resource_group": told["resourceGroupName"]}
    account_id = simulator.reset({"subscription": subscription, "accounts": [account]})["accounts"][0]
    method, action = ACTIONS.get(example.name, ("POST", "/regenerateKey"))
    url = f"{MANAGEMENT}{account_id}{action}?{example.query}"
    return send(method, url, example.body, token=token_for(MANAGEMENT))


def ask_vault(simulator: ControlClient, example: Example) -> Answer:
    """Send an example of Key Vault to an estate that has its vault and secrets."""
    name = example.parameters.get("secret-name", "listsecrettest0")
    secrets = [{"name": name, "content_type": "plainText"}, {"name": "another"}]
    simulator.reset({"vaults": [{"name": "myvault", "secrets": secrets}]})
    base = example.parameters["vaultBaseUrl"].rstrip("/")
    token = token_for(VAULT)
    version = send(
        "PUT", f"{base}/secrets/{name}?{example.query}", {"value": "second", "contentType": "plainText"}, token=token
    ).json["id"]
    method, path = VAULT_REQUESTS[example.name]
    if path.startswith("/deletedsecrets"):
        assert send("DELETE", f"{base}/secrets/{name}?{example.query}", token=token).status == 200
    path = path.format(name=name, version=version.rpartition("/")[2])
    return send(method, f"{base}{path}?{example.query}", example.body, token=token)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_official_example_is_answered_in_its_shape(simulator: ControlClient, path: Path) -> None:
    """Status, every key and every JSON type of Microsoft's own example are there."""
    example = read(path)

    answer = (ask_vault if example.name in VAULT_REQUESTS else ask_arm)(simulator, example)

    if example.name in REFUSED:
        assert answer.status == 400
        assert answer.json["error"]["code"] == "InvalidKeyName"
        return
    official = example.responses[str(answer.status)]
    assert lacking(official.get("body", {}), answer.json if answer.body else {}) == []
    assert [name for name in official.get("headers", {}) if name not in answer.headers] == []


def test_every_example_has_its_request() -> None:
    """An example that nobody sends proves nothing."""
    assert {path.stem for path in EXAMPLES} == ACTIONS.keys() | VAULT_REQUESTS.keys() | REFUSED
    assert len(EXAMPLES) == 20
