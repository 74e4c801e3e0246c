"""What the simulator can be told to do wrong, and that it does exactly that."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ServiceResponseTimeoutError

from simulator.client import ControlClient, ControlError
from tests.conformance.simulator.clients import sync_clients
from tests.conformance.simulator.wire import MANAGEMENT, VAULT, Answer, send, token_for

ORDERS_KEY = "https://kv-orders.vault.azure.net/secrets/orders-storage-key/?api-version=7.4"
STORAGE = ("rg-orders", "stcontosoorders")


def get_secret() -> Answer:
    """Read a secret without a client that would try again."""
    return send("GET", ORDERS_KEY, token=token_for(VAULT))


def test_a_fault_strikes_where_and_as_often_as_told(simulator: ControlClient) -> None:
    """Host, path and method select, `skip` lets pass, `times` ends it; the hits are counted and journalled."""
    fault = simulator.fault(host="^kv-orders", path="^/secrets/orders", method="get", skip=1, times=2, status=503)

    statuses = [get_secret().status for _ in range(5)]

    assert statuses == [200, 503, 503, 200, 200]
    assert simulator.hits(fault) == 2
    assert [entry["fault"] for entry in simulator.journal() if not entry["sign_in"]] == [None, fault, fault, None, None]


def test_a_fault_elsewhere_strikes_nobody(simulator: ControlClient) -> None:
    """Another host, path or method is left in peace."""
    for selection in ({"host": "^kv-billing"}, {"path": "^/deletedsecrets"}, {"method": "PUT"}):
        simulator.fault(status=500, **selection)

    assert get_secret().status == 200
    assert [fault["hits"] for fault in simulator.faults()] == [0, 0, 0]


def test_the_challenge_is_spared(simulator: ControlClient) -> None:
    """A fault that strikes once strikes the request that was meant, not the sign-in before it."""
    fault = simulator.fault(path="^/secrets", times=1, status=500)

    assert send("GET", ORDERS_KEY).status == 401
    assert simulator.hits(fault) == 0
    assert get_secret().status == 500


def test_the_challenge_can_be_struck(simulator: ControlClient) -> None:
    """A vault may refuse who has no token yet, as one behind a firewall does; who has one is none of its business."""
    fault = simulator.fault(challenges=True, times=1, status=403)

    assert get_secret().status == 200
    assert send("GET", ORDERS_KEY).status == 403
    assert send("GET", ORDERS_KEY).status == 401
    assert simulator.hits(fault) == 1


@pytest.mark.parametrize(("when", "regenerated"), [("before", 0), ("after", 1)])
def test_a_fault_comes_before_or_after_the_effect(simulator: ControlClient, when: str, regenerated: int) -> None:
    """The same error, and only in one case a new key."""
    simulator.fault(path="/regenerateKey", when=when, status=500)
    with sync_clients() as clients, pytest.raises(HttpResponseError):
        clients.storage.storage_accounts.regenerate_key(*STORAGE, {"keyName": "key2"}, retry_total=0)

    assert simulator.account("stcontosoorders")["slots"]["key2"]["regenerated"] == regenerated


def test_a_throttled_vault_speaks_as_key_vault_does(simulator: ControlClient) -> None:
    """The default body is the service's own, with Retry-After when it was asked for."""
    simulator.fault(status=429, retry_after=7)

    answer = get_secret()

    assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    assert answer.json["error"]["code"] == "Throttled"


def test_a_fault_can_have_a_code_of_ones_own(simulator: ControlClient) -> None:
    """A service that refuses for one of several reasons says which in its own form."""
    simulator.fault(host=r"\.blob\.", status=403, code="AuthorizationFailure")

    answer = send("GET", "https://stcontosoorders.blob.core.windows.net/?comp=list")

    assert (answer.status, answer.headers["x-ms-error-code"]) == (403, "AuthorizationFailure")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (f"{MANAGEMENT}/subscriptions?api-version=1", b'"code":"ServerTimeout"'),
        ("https://stcontosoorders.blob.core.windows.net/?comp=list", b"<Code>ServerBusy</Code>"),
        ("https://batchrendering.westeurope.batch.azure.com/pools", b'"code":"ServerBusy"'),
        ("https://wps-contoso-live.webpubsub.azure.com/api/health", b"ServiceUnavailable"),
        ("https://login.microsoftonline.com/x/oauth2/v2.0/token", b"temporarily_unavailable"),
    ],
)
def test_each_service_fails_in_its_own_words(simulator: ControlClient, url: str, code: bytes) -> None:
    """ARM, Storage, Batch, Web PubSub and Entra ID have different error bodies."""
    simulator.fault(host=".", status=503)

    answer = send("GET", url, token="none needed")  # noqa: S106  # no password

    assert answer.status == 503
    assert code in answer.body


@pytest.mark.parametrize("body", ["", "<html>no JSON</html>", '{"keys": '])
def test_an_answer_can_be_malformed(simulator: ControlClient, body: str) -> None:
    """A success that cannot be read is the worst of answers."""
    simulator.fault(path="/listKeys", status=200, body=body)

    url = f"{MANAGEMENT}{simulator.account('stcontosoorders')['id']}/listKeys?api-version=1"
    answer = send("POST", url, token=token_for(MANAGEMENT))

    assert (answer.status, answer.body) == (200, body.encode())


def test_a_stalled_request_is_held_until_the_fault_is_lifted(simulator: ControlClient) -> None:
    """The waiting test is told of the hit; the request goes on when the fault is gone."""
    fault = simulator.fault(path="^/secrets/orders", stall=True)
    answers: list[Answer] = []
    asking = threading.Thread(target=lambda: answers.append(get_secret()))
    asking.start()

    assert simulator.hits(fault, wait=10) == 1
    held = simulator.journal()[-1]
    assert (held["status"], held["fault"], answers) == (None, fault, [])
    simulator.lift(fault)
    asking.join(10)

    assert [answer.status for answer in answers] == [200]


@pytest.mark.parametrize(("when", "regenerated"), [("before", 0), ("after", 1)])
def test_a_client_that_gives_up_leaves_a_stalled_request(simulator: ControlClient, when: str, regenerated: int) -> None:
    """Stalled before the effect it never happens, however soon it is let go; stalled after it, it has happened."""
    fault = simulator.fault(path="/regenerateKey", when=when, stall=True)
    with sync_clients() as clients, pytest.raises(ServiceResponseTimeoutError):
        clients.storage.storage_accounts.regenerate_key(*STORAGE, {"keyName": "key2"}, read_timeout=0.5)
    simulator.lift(fault)

    assert simulator.journal()[-1]["status"] is None
    assert simulator.account("stcontosoorders")["slots"]["key2"]["regenerated"] == regenerated


def test_answers_can_be_slow(simulator: ControlClient) -> None:
    """A delay holds one kind of request; a latency holds a whole plane."""
    simulator.fault(path="^/secrets/orders", times=1, delay=0.3)
    get_secret()
    simulator.behave(latency={"control": 0.2, "vault": 0.3, "jitter": 0.05})
    get_secret()
    send("GET", f"{MANAGEMENT}/subscriptions?api-version=1", token=token_for(MANAGEMENT))

    took = [entry["duration"] for entry in simulator.journal() if not entry["sign_in"]]
    assert took[0] >= 0.3
    assert 0.2 <= took[1] < 0.6
    assert 0.1 <= took[2] < 0.5


def test_latencies_spread_by_a_share(simulator: ControlClient) -> None:
    """Ten answers that take 50 ms give or take 90 % are not all alike, and none is quicker than a tenth of it."""
    simulator.behave(latency={"vault": 0.05, "spread": 0.9})
    for _ in range(10):
        get_secret()

    told = [entry for entry in simulator.journal() if not entry["sign_in"]]
    took = [entry["duration"] for entry in told]
    assert min(took) >= 0.005
    assert all(0.005 <= entry["latency"] <= min(0.095, entry["duration"]) for entry in told)
    assert len({round(seconds, 2) for seconds in took}) > 1


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({}, "exactly one of status, cut, delay, stall"),
        ({"status": 500, "cut": True}, "exactly one of status, cut, delay, stall"),
        ({"status": 500, "when": "later"}, "when: has to be before or after"),
        ({"status": "500"}, "status: has to be a whole number"),
        ({"status": 500, "colour": "red"}, "colour: is not known"),
        ({"status": 500, "path": "("}, "regular expression"),
        ({"status": 500, "action": "aquire"}, "action: has to be one of acquire"),
        ({"status": 500, "times": 0}, "times: has to be 1 or more"),
        ({"status": 500, "skip": -1}, "skip: has to be 0 or more"),
        ({"status": 99}, "status: has to be from 200 to 599"),
        ({"cut": True, "body": "{}"}, "body: is said with a status only"),
        ({"stall": True, "retry_after": 1}, "retry_after: is said with a status only"),
    ],
)
def test_an_unclear_fault_is_refused(simulator: ControlClient, told: dict[str, Any], complaint: str) -> None:
    """A fault that never strikes would make a test pass for nothing."""
    with pytest.raises(ControlError, match=complaint):
        simulator.fault(**told)


def test_lists_and_reads_can_be_late(simulator: ControlClient) -> None:
    """For a while the old keys are listed and the old secret is read, though both have changed."""
    with sync_clients() as clients:
        list_keys = clients.storage.storage_accounts.list_keys
        old = [key.value for key in list_keys(*STORAGE).keys_property]
        value = clients.vault.get_secret("orders-smtp-password").value
        simulator.behave(list_delay=0.6)

        new = clients.storage.storage_accounts.regenerate_key(*STORAGE, {"keyName": "key2"}).keys_property
        assert clients.vault.set_secret("orders-smtp-password", "changed").value == "changed"
        clients.vault.set_secret("brand-new", "x")

        assert new[1].value != old[1]
        assert [key.value for key in list_keys(*STORAGE).keys_property] == old
        assert clients.vault.get_secret("orders-smtp-password").value == value
        assert "brand-new" not in [item.name for item in clients.vault.list_properties_of_secrets()]
        time.sleep(0.7)
        assert [key.value for key in list_keys(*STORAGE).keys_property] == [key.value for key in new]
        assert clients.vault.get_secret("orders-smtp-password").value == "changed"
        assert "brand-new" in [item.name for item in clients.vault.list_properties_of_secrets()]


def test_the_clock_can_be_wrong(simulator: ControlClient) -> None:
    """Timestamps of vault and accounts move; tokens and signatures stay on real time."""
    simulator.behave(clock_offset=-30 * 24 * 3600)
    with sync_clients() as clients:
        created = clients.vault.set_secret("dated", "x").properties.created_on
        keys = clients.storage.storage_accounts.regenerate_key(*STORAGE, {"keyName": "key2"}).keys_property

    month_ago = datetime.now(UTC) - timedelta(days=30)  # noqa: TID251  # a test's clock
    assert abs(created - month_ago) < timedelta(minutes=1)
    assert abs(keys[1].creation_time - month_ago) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("path", "right"),
    [("", "read"), ("/listKeys", "listkeys/action"), ("/regenerateKey", "regeneratekey/action")],
    ids=["read", "list", "regenerate"],
)
def test_a_right_can_be_taken_away(simulator: ControlClient, path: str, right: str) -> None:
    """403 for this action on this account, in ARM's words; other accounts keep the right."""
    simulator.add_account(type="storage", name="stother", resource_group="rg-orders")
    simulator.deny(f"Microsoft.Storage/storageAccounts/{right}", "stcontosoorders")
    token = token_for(MANAGEMENT)
    method = "POST" if path else "GET"

    answers = [
        send(
            method,
            f"{MANAGEMENT}{simulator.account(name)['id']}{path}?api-version=1",
            {"keyName": "key1"} if path else None,
            token=token,
        )
        for name in ("stcontosoorders", "stother")
    ]

    assert [answer.status for answer in answers] == [403, 200]
    assert answers[0].json["error"]["code"] == "AuthorizationFailed"
    assert f"action 'Microsoft.Storage/storageAccounts/{right}'" in answers[0].json["error"]["message"]


def test_permissions_tell_what_is_denied(simulator: ControlClient) -> None:
    """The effective permissions of the caller agree with what happens."""
    simulator.deny("Microsoft.Batch/batchAccounts/regenerateKeys/action", "batchrendering")
    scope = simulator.account("batchrendering")["id"]
    url = f"{MANAGEMENT}{scope}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01"

    roles = send("GET", url, token=token_for(MANAGEMENT)).json["value"]

    allowed = {action.lower() for role in roles for action in role["actions"]}
    assert "microsoft.batch/batchaccounts/listkeys/action" in allowed
    assert "microsoft.batch/batchaccounts/regeneratekeys/action" not in allowed
    assert all(role.keys() == {"actions", "notActions", "dataActions", "notDataActions"} for role in roles)


def test_a_vault_can_close_its_firewall(simulator: ControlClient) -> None:
    """403 ForbiddenByFirewall until it is opened again."""
    simulator.firewall("kv-orders", closed=True)
    closed = get_secret()
    simulator.firewall("kv-orders", closed=False)

    assert closed.status == 403
    assert closed.json["error"]["innererror"]["code"] == "ForbiddenByFirewall"
    assert get_secret().status == 200


@pytest.mark.parametrize("path", ["/listKeys", "/regenerateKey"])
def test_a_lock_stops_the_keys(simulator: ControlClient, path: str) -> None:
    """A read-only lock forbids POST, and so even looking at the keys."""
    simulator.change_account("stcontosoorders", locked=True)
    url = f"{MANAGEMENT}{simulator.account('stcontosoorders')['id']}"
    token = token_for(MANAGEMENT)

    answer = send("POST", f"{url}{path}?api-version=1", {"keyName": "key1"}, token=token)

    assert (answer.status, answer.json["error"]["code"]) == (409, "ScopeLocked")
    assert send("GET", f"{url}?api-version=1", token=token).status == 200


@pytest.mark.parametrize(
    ("name", "place", "off"),
    [
        ("stcontosoorders", "allowSharedKeyAccess", False),
        ("batchrendering", "allowedAuthenticationModes", ["AAD"]),
        ("wps-contoso-live", "disableLocalAuth", True),
    ],
)
def test_shared_keys_that_are_off_show_in_the_account(
    simulator: ControlClient, name: str, place: str, off: object
) -> None:
    """Each service says it in a property of its own; Batch also refuses to list the keys."""
    simulator.change_account(name, shared_keys=False)
    url = f"{MANAGEMENT}{simulator.account(name)['id']}"
    token = token_for(MANAGEMENT)

    properties = send("GET", f"{url}?api-version=1", token=token).json["properties"]
    listed = send("POST", f"{url}/listKeys?api-version=1", token=token).status

    assert properties[place] == off
    assert listed == (403 if name == "batchrendering" else 200)


def test_nothing_is_left_after_a_reset(simulator: ControlClient) -> None:
    """Each test starts clean: no faults, denials, delays, journal or changes."""
    simulator.fault(status=500)
    simulator.deny("Microsoft.KeyVault/vaults/secrets/getSecret/action")
    simulator.behave(list_delay=60, latency={"vault": 1})
    before = simulator.keys()
    simulator.reset()

    assert get_secret().status == 200
    assert simulator.faults() == []
    assert simulator.request("GET", "/denials") == []
    assert simulator.behave()["list_delay"] == 0
    assert len(simulator.journal()) == 2
    assert json.dumps(simulator.keys()[: len(before)]) == json.dumps(before)
    assert json.dumps(simulator.keys()[len(before) :]) == json.dumps(simulator.present_keys()) != "[]"


@pytest.mark.parametrize(
    ("method", "path", "told", "complaint"),
    [
        (
            "POST",
            "/denials",
            {"action": "Microsoft.Storage/storageAccounts/listKey/action"},
            "action: has to be one of",
        ),
        ("PATCH", "/behaviour", {"list_delays": 1}, "list_delays: is not known"),
        ("PATCH", "/behaviour", {"list_delay": 9, "latency": {"vault": "slow"}}, "latency.vault: has to be a number"),
        ("PATCH", "/accounts/stcontosoorders", {"locked": True, "shared_key": False}, "shared_key: is not known"),
        ("PATCH", "/vaults/kv-orders", {"firewall": "closed"}, "firewall: has to be true or false"),
        ("POST", "/accounts", {"type": "storage", "name": "stnew"}, "resource_group: is missing"),
        ("POST", "/vaults/kv-orders/secrets", {"name": "new", "colour": "red"}, "colour: is not known"),
        ("POST", "/accounts/stcontosoorders/regenerate", {"slot": "Primary"}, "slot: has to be one of key1, key2"),
        ("GET", "/accounts/stnowhere", None, "stnowhere is not there"),
        ("GET", "/nothing", None, "is no control request"),
    ],
)
def test_an_unclear_wish_is_refused_and_changes_nothing(
    simulator: ControlClient, method: str, path: str, told: dict[str, Any] | None, complaint: str
) -> None:
    """What was meant to go wrong and does not would make a test pass for nothing."""

    def state() -> list[Any]:
        return [
            simulator.request("GET", seen) for seen in ("/behaviour", "/denials", "/accounts", "/vaults", "/verdict")
        ]

    before = state()
    with pytest.raises(ControlError, match=complaint):
        simulator.request(method, path, told)

    assert state() == before
