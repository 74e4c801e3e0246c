"""That the simulator throttles as Azure's documents say, and not before it was told to."""

import pytest

from simulator.client import ControlClient
from simulator.clouds import PUBLIC, locate
from simulator.quotas import Quotas
from simulator.wire import Call
from tests.conformance.simulator.wire import MANAGEMENT, VAULT, Answer, send, token_for

SLOWLY = 0.001
"""So slow that no bucket fills while a test runs."""

SUBSCRIPTION = "/subscriptions/0c0ffee0-5d3a-4f43-9a52-6f1d1b7a7e55"
PROVIDERS = f"{SUBSCRIPTION}/resourceGroups/rg/providers"
ACCOUNT = f"{PROVIDERS}/Microsoft.Storage/storageAccounts/st"
BATCH = f"{PROVIDERS}/Microsoft.Batch/batchAccounts/ba"


def call(method: str, host: str, path: str) -> Call:
    """A request as the services see it."""
    address = locate(host, PUBLIC)
    assert address is not None
    return Call(address.plane, address.resource, method, host, path, {}, path, {"Authorization": "Bearer x"}, b"")


def control(method: str, path: str) -> Call:
    """A request to Resource Manager."""
    return call(method, "management.azure.com", path)


def granted(quotas: Quotas, asked: Call, *, at: float = 0.0) -> int:
    """How often a call is granted before it is refused."""
    return next(n for n in range(10_000) if quotas.refuse(asked, at, 1.0) is not None)


@pytest.mark.parametrize(
    ("asked", "at_once", "in_a_minute"),
    [
        pytest.param(call("PUT", "kv-one.vault.azure.net", "/secrets/a"), 300, 300, id="vault-create"),
        pytest.param(call("GET", "kv-one.vault.azure.net", "/secrets/a"), 4000, 4000, id="vault-other"),
        pytest.param(control("GET", BATCH), 250, 250, id="arm-read"),
        pytest.param(control("POST", f"{BATCH}/listKeys"), 200, 200, id="arm-write"),
        pytest.param(control("DELETE", BATCH), 200, 200, id="arm-delete"),
        pytest.param(control("GET", f"{SUBSCRIPTION}/providers/Microsoft.Storage/storageAccounts"), 100, 20, id="list"),
        pytest.param(control("POST", f"{ACCOUNT}/regenerateKey"), 10, 10, id="storage-write"),
    ],
)
def test_each_quota_has_its_size_and_its_pace(asked: Call, at_once: int, in_a_minute: int) -> None:
    """A full bucket grants so many at once; what comes in later is bounded by how quickly it fills."""
    quotas = Quotas()

    assert at_once == granted(quotas, asked)
    assert in_a_minute == granted(quotas, asked, at=60.0)


def test_listing_keys_is_a_write_for_arm_and_a_read_for_storage() -> None:
    """After 200 of them ARM's writes are gone; reads of accounts have their own bucket at ARM and share Storage's."""
    quotas = Quotas()

    assert 200 == granted(quotas, control("POST", f"{ACCOUNT}/listKeys"))
    assert 250 == granted(quotas, control("GET", ACCOUNT))
    assert quotas.refuse(control("POST", f"{BATCH}/listKeys"), 0.0, 1.0) is not None


def test_the_hourly_quota_of_storage_ends_what_the_one_per_second_allows() -> None:
    """1,200 regenerates in an hour, however slowly."""
    quotas = Quotas()
    regenerate = control("POST", f"{ACCOUNT}/regenerateKey")

    refused = next(n for n in range(10_000) if quotas.refuse(regenerate, n / 5, 1.0) is not None)

    # The bucket fills a little meanwhile: a third of a request per second.
    assert 1285 == refused


def test_vaults_are_apart_up_to_five() -> None:
    """One vault's bucket leaves the others alone, and all vaults of a subscription share one five times as large."""
    quotas = Quotas()

    grants = [granted(quotas, call("PUT", f"kv-{n}.vault.azure.net", "/secrets/a")) for n in range(6)]

    assert [300, 300, 300, 300, 300, 0] == grants


def test_a_refused_call_takes_nothing_and_is_told_how_long_to_wait() -> None:
    """Retry-After is the time until there is one request in the bucket, in whole seconds."""
    quotas = Quotas()
    listing = control("GET", f"{SUBSCRIPTION}/providers/Microsoft.Storage/storageAccounts")
    granted(quotas, listing)

    assert [3, 3, 3] == [quotas.refuse(listing, 0.0, 1.0) for _ in range(3)]
    assert quotas.refuse(listing, 3.0, 1.0) is None
    assert quotas.refuse(listing, 3.0, 1.0) == 3


@pytest.mark.parametrize("host", ["stone.blob.core.windows.net", "login.microsoftonline.com"])
def test_data_planes_and_sign_in_have_no_quota(host: str) -> None:
    """No bucket is theirs."""
    quotas = Quotas()

    assert all(quotas.refuse(call("GET", host, "/"), 0.0, 1.0) is None for _ in range(5000))


def list_storage_accounts(simulator: ControlClient) -> Answer:
    """One request that few of are granted."""
    scope = simulator.account("stcontosoorders")["id"].partition("/resourceGroups")[0]
    url = f"{MANAGEMENT}{scope}/providers/Microsoft.Storage/storageAccounts?api-version=1"
    return send("GET", url, token=token_for(MANAGEMENT))


def test_quotas_are_off_until_they_are_switched_on(simulator: ControlClient) -> None:
    """A test that wants none of them meets none; switching them on begins with full buckets."""
    before = [list_storage_accounts(simulator).status for _ in range(101)]
    simulator.behave(quotas=SLOWLY)
    after = [list_storage_accounts(simulator).status for _ in range(101)]

    assert {200} == set(before)
    assert [*[200] * 100, 429] == after


def test_a_throttled_request_is_answered_in_the_service_s_words(simulator: ControlClient) -> None:
    """429 with Retry-After and the error body of Resource Manager; the request has no effect."""
    simulator.behave(quotas=SLOWLY)
    url = f"{MANAGEMENT}{simulator.account('stcontosoorders')['id']}/regenerateKey?api-version=1"
    answers = [send("POST", url, {"keyName": "key2"}, token=token_for(MANAGEMENT)) for _ in range(12)]

    assert [200] * 10 + [429] * 2 == [answer.status for answer in answers]
    assert int(answers[-1].headers["Retry-After"]) > 1
    assert "TooManyRequests" == answers[-1].json["error"]["code"]
    assert 10 == simulator.account("stcontosoorders")["slots"]["key2"]["regenerated"]


def test_a_vault_s_challenge_costs_nothing(simulator: ControlClient) -> None:
    """Signing in is not counted; 300 secrets are created, and reading goes on after that."""
    simulator.behave(quotas=SLOWLY)
    url, token = "https://kv-orders.vault.azure.net/secrets/new?api-version=7.4", token_for(VAULT)
    assert {401} == {send("PUT", url).status for _ in range(5)}

    statuses = [send("PUT", url, {"value": "text"}, token=token).status for _ in range(301)]

    assert [*[200] * 300, 429] == statuses
    assert 200 == send("GET", url, token=token).status
