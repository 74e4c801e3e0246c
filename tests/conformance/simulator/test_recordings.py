"""Recorded traffic of the real services, replayed: the same status, the same bodies, the same headers."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from simulator.client import ControlClient
from tests.conformance.simulator.wire import MANAGEMENT, VAULT, send, token_for

RECORDED = json.loads((Path(__file__).parent.parent / "specs" / "recorded_wire_condensed.json").read_text())
SECRETS = "https://kv-orders.vault.azure.net/secrets"
GUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def recording(service: str, start: str) -> dict[str, Any]:
    """The recording whose request begins like this."""
    found = [entry for entry in RECORDED[service] if entry.get("req", "").startswith(start)]
    assert len(found) == 1
    return dict(found[0])


def account(simulator: ControlClient, name: str) -> str:
    """The URL of an account."""
    return f"{MANAGEMENT}{simulator.account(name)['id']}"


@pytest.mark.parametrize("action", ["listKeys", "regenerateKeys"])
def test_batch_keys_have_the_recorded_form(simulator: ControlClient, action: str) -> None:
    """Two keys of 88 characters, synchronously, with the recorded headers."""
    recorded = recording("batch", "POST .../batchAccounts")
    url = f"{account(simulator, 'batchrendering')}/{action}?api-version=2018-12-01"

    answer = send("POST", url, {"keyName": "Primary"}, token=token_for(MANAGEMENT))

    assert answer.status == 200
    assert answer.json.keys() == recorded["body_shape"].keys()
    assert [len(answer.json[slot]) for slot in ("primary", "secondary")] == [88, 88]
    assert {name: answer.headers[name] for name in recorded["headers"]} == recorded["headers"]
    assert answer.headers["Location"] is None


def test_regenerating_a_batch_key_changes_only_that_key(simulator: ControlClient) -> None:
    """The other key of the account is the promise that consumers live on."""
    url = account(simulator, "batchrendering")
    token = token_for(MANAGEMENT)
    before = send("POST", f"{url}/listKeys?api-version=1", token=token).json

    after = send("POST", f"{url}/regenerateKeys?api-version=1", {"keyName": "Primary"}, token=token).json

    assert after["secondary"] == before["secondary"]
    assert after["primary"] != before["primary"]


def test_a_web_pubsub_regenerate_runs_as_recorded(simulator: ControlClient) -> None:
    """202 with the new keys, Running, Succeeded with an end, and an empty result; no Retry-After."""
    simulator.behave(operation_seconds=0.3)
    token = token_for(MANAGEMENT)
    url = account(simulator, "wps-contoso-live").replace("WebPubSub", "webPubSub")
    before = send("POST", f"{url}/listKeys?api-version=2023-06-01-preview", token=token).json

    started = send("POST", f"{url}/regenerateKey?api-version=2023-06-01-preview", {"keyType": "secondary"}, token=token)

    recorded = recording("webpubsub", "POST .../webPubSub/{n}/regenerateKey")
    assert started.status == recorded["status"]
    assert started.json.keys() == recording("webpubsub", "POST .../webPubSub/{n}/listKeys")["body"].keys()
    assert started.json["primaryKey"] == before["primaryKey"]
    assert started.json["secondaryKey"] != before["secondaryKey"]
    assert started.headers["Retry-After"] is None
    for header, part in (("azure-asyncoperation", "operationStatuses"), ("location", "operationResults")):
        assert re.search(
            f"/WebPubSub/wps-contoso-live/{part}/{GUID}\\?api-version=2023-06-01-preview$", started.headers[header]
        )
    running = send("GET", started.headers["azure-asyncoperation"], token=token).json
    assert running.keys() == recording("webpubsub", "GET operationStatuses/{guid} immediately")["body"].keys()
    assert running["status"] == "Running"
    assert send("POST", f"{url}/listKeys?api-version=1", token=token).json == before
    time.sleep(0.4)
    ended = send("GET", started.headers["azure-asyncoperation"], token=token).json
    assert ended.keys() == recording("webpubsub", "GET operationStatuses/{guid} 31 s")["body"].keys()
    assert ended["status"] == "Succeeded"
    result = send("GET", started.headers["location"], token=token)
    assert (result.status, result.body, result.headers["content-length"]) == (200, b"", "0")
    assert send("POST", f"{url}/listKeys?api-version=1", token=token).json == started.json


@pytest.mark.usefixtures("simulator")
def test_the_challenge_is_the_recorded_one() -> None:
    """A vault asks for a token, naming where to get it and for what."""
    recorded = recording("keyvault", "PUT /secrets/{n} without Authorization")

    answer = send("PUT", f"{SECRETS}/anything?api-version=7.4")

    assert answer.status == recorded["status"]
    assert answer.json == recorded["body"]
    expected = recorded["headers"]["WWW-Authenticate"].replace("{tenant}", GUID)
    assert re.fullmatch(expected, answer.headers["WWW-Authenticate"])


def test_a_vault_sends_the_recorded_headers(simulator: ControlClient) -> None:
    """Clients look at some of them, and people at the others."""
    recorded = next(entry["common_headers"] for entry in RECORDED["keyvault"] if "common_headers" in entry)

    answer = send(
        "GET", f"{SECRETS}?api-version=7.4", token=token_for(VAULT), headers={"x-ms-client-request-id": "mine"}
    )

    assert simulator.journal()[-1]["client_request_id"] == "mine"
    assert [name for name in recorded if name not in answer.headers] == []
    assert answer.headers["x-ms-client-request-id"] == "mine"
    fixed = ("Cache-Control", "Pragma", "Content-Type", "Expires", "X-Powered-By", "X-Content-Type-Options")
    assert {name: answer.headers[name] for name in fixed} == {name: recorded[name] for name in fixed}


def test_a_disabled_secret_is_refused_as_recorded(simulator: ControlClient) -> None:
    """The newest version is disabled: no older one takes its place."""
    recorded = recording("keyvault", "GET /secrets/{n}/ of a disabled secret")
    simulator.add_secret("kv-orders", name="switched-off", enabled=False)

    answer = send("GET", f"{SECRETS}/switched-off/?api-version=7.4", token=token_for(VAULT))

    assert (answer.status, answer.json) == (recorded["status"], recorded["body"])


@pytest.mark.parametrize(
    ("start", "path"),
    [("GET /secrets/{n}/ missing", "secrets/nothing/"), ("GET /deletedsecrets/{n}", "deletedsecrets/nothing")],
    ids=["secret", "deleted secret"],
)
def test_what_is_missing_is_refused_as_recorded(simulator: ControlClient, start: str, path: str) -> None:
    """404 with the recorded code and sentence."""
    recorded = recording("keyvault", start)

    answer = send("GET", f"https://kv-orders.vault.azure.net/{path}?api-version=7.4", token=token_for(VAULT))

    assert simulator.journal()[-1]["status"] == recorded["status"]
    assert answer.json == json.loads(json.dumps(recorded["body"]).replace("{n}", "nothing"))


def test_a_right_that_is_missing_is_refused_as_recorded(simulator: ControlClient) -> None:
    """Every line of the recorded text is there, with the caller, the action and the resource filled in."""
    recorded = recording("keyvault", "RBAC denial")
    simulator.deny("Microsoft.KeyVault/vaults/secrets/getSecret/action", "kv-orders")

    answer = send("GET", f"{SECRETS}/orders-storage-key/?api-version=7.4", token=token_for(VAULT))

    assert answer.status == recorded["status"]
    assert answer.json["error"]["innererror"] == recorded["body"]["error"]["innererror"]
    lines = recorded["body"]["error"]["message"].split("\r\n")
    ours = answer.json["error"]["message"].split("\r\n")
    assert [line.partition(":")[0] for line in ours] == [line.partition(":")[0] for line in lines]
    assert "Action: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'" in ours
