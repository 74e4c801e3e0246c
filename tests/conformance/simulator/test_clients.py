"""Microsoft's clients, unmodified, over the simulator: every operation that a rotation needs, sync and aio."""

from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

from simulator.client import ControlClient
from tests.conformance.simulator.clients import aio_clients, sync_clients

STORAGE = ("rg-orders", "stcontosoorders")
BATCH = ("rg-rendering", "batchrendering")
WEB_PUBSUB = ("rg-live", "wps-contoso-live")


def regenerated(simulator: ControlClient) -> int:
    """How many keys of the estate are not its first ones."""
    return sum(slot["regenerated"] for account in simulator.accounts() for slot in account["slots"].values())


def test_accounts_are_described(simulator: ControlClient) -> None:
    """The properties that say whether keys can be used, and where, are where the models look."""
    with sync_clients() as clients:
        storage = clients.storage.storage_accounts.get_properties(*STORAGE)
        batch = clients.batch.batch_account.get(*BATCH)
        web_pubsub = clients.web_pubsub.web_pub_sub.get(*WEB_PUBSUB)

    assert storage.id == simulator.account("stcontosoorders")["id"]
    assert storage.allow_shared_key_access is True
    assert storage.primary_endpoints.blob == "https://stcontosoorders.blob.core.windows.net/"
    assert datetime.now(UTC) - storage.key_creation_time.key1 > timedelta(days=74)  # noqa: TID251  # a test's clock
    assert "SharedKey" in batch.allowed_authentication_modes
    assert batch.account_endpoint == "batchrendering.westeurope.batch.azure.com"
    assert web_pubsub.host_name == "wps-contoso-live.webpubsub.azure.com"
    assert web_pubsub.disable_local_auth is False


async def test_accounts_are_described_to_aio_clients(simulator: ControlClient) -> None:
    """The aio clients read the same answers."""
    async with aio_clients() as clients:
        storage = await clients.storage.storage_accounts.get_properties(*STORAGE)
        batch = await clients.batch.batch_account.get(*BATCH)
        web_pubsub = await clients.web_pubsub.web_pub_sub.get(*WEB_PUBSUB)

    known = [simulator.account(name[1])["id"] for name in (STORAGE, BATCH, WEB_PUBSUB)]
    assert [storage.id, batch.id, web_pubsub.id] == known


def test_storage_regenerates_one_key_at_once(simulator: ControlClient) -> None:
    """The answer holds both keys; the other one is untouched and the creation time moves."""
    with sync_clients() as clients:
        before = clients.storage.storage_accounts.list_keys(*STORAGE).keys_property
        answered = clients.storage.storage_accounts.regenerate_key(*STORAGE, {"keyName": "key2"}).keys_property
        after = clients.storage.storage_accounts.list_keys(*STORAGE).keys_property

    assert [key.value for key in answered] == [key.value for key in after]
    assert after[0].value == before[0].value
    assert after[1].value != before[1].value
    assert after[1].creation_time > before[1].creation_time
    known = simulator.keys()
    assert [key.value in known for key in before + after] == [True] * 4


async def test_aio_clients_regenerate_at_once(simulator: ControlClient) -> None:
    """Storage and Batch answer with the new key, and keep the other."""
    async with aio_clients() as clients:
        storage = (await clients.storage.storage_accounts.list_keys(*STORAGE)).keys_property
        new = (await clients.storage.storage_accounts.regenerate_key(*STORAGE, {"keyName": "key1"})).keys_property
        batch = await clients.batch.batch_account.get_keys(*BATCH)
        renewed = await clients.batch.batch_account.regenerate_key(*BATCH, {"keyName": "Secondary"})

    assert [old.value == key.value for old, key in zip(storage, new, strict=True)] == [False, True]
    assert (batch.primary == renewed.primary, batch.secondary == renewed.secondary) == (True, False)
    assert simulator.account("batchrendering")["slots"]["Secondary"]["regenerated"] == 1


def test_a_web_pubsub_poller_has_no_result(simulator: ControlClient) -> None:
    """The final answer is empty, as on the real service: the key has to be listed."""
    with sync_clients() as clients:
        before = clients.web_pubsub.web_pub_sub.list_keys(*WEB_PUBSUB)
        poller = clients.web_pubsub.web_pub_sub.begin_regenerate_key(*WEB_PUBSUB, {"keyType": "Secondary"})
        assert poller.result() is None
        after = clients.web_pubsub.web_pub_sub.list_keys(*WEB_PUBSUB)

    assert after.primary_key == before.primary_key
    assert after.secondary_key != before.secondary_key
    assert after.secondary_connection_string.endswith(f";AccessKey={after.secondary_key};Version=1.0;")
    assert len(after.secondary_key) == 44
    assert simulator.account("wps-contoso-live")["slots"]["Secondary"]["regenerated"] == 1


async def test_an_aio_web_pubsub_poller_has_no_result(simulator: ControlClient) -> None:
    """The same for aio."""
    async with aio_clients() as clients:
        regenerate = clients.web_pubsub.web_pub_sub.begin_regenerate_key
        poller = await regenerate(*WEB_PUBSUB, {"keyType": "Primary"})
        assert await poller.result() is None

    assert simulator.account("wps-contoso-live")["slots"]["Primary"]["regenerated"] == 1


def test_a_poller_goes_on_from_its_token(simulator: ControlClient) -> None:
    """A process that died while it polled can go on without a second regenerate."""
    simulator.behave(operation_seconds=0.5)
    with sync_clients() as clients:
        regenerate = clients.web_pubsub.web_pub_sub.begin_regenerate_key
        token = regenerate(*WEB_PUBSUB, {"keyType": "Primary"}).continuation_token()
        regenerate(*WEB_PUBSUB, {"keyType": "Primary"}, continuation_token=token).wait()

    posts = [entry for entry in simulator.journal() if entry["path"].endswith("regenerateKey")]
    assert len(posts) == 1
    assert simulator.account("wps-contoso-live")["slots"]["Primary"]["regenerated"] == 1


def test_two_web_pubsub_keys_are_not_regenerated_at_once(simulator: ControlClient) -> None:
    """The second request conflicts while the first one runs."""
    simulator.behave(operation_seconds=30)
    with sync_clients() as clients:
        regenerate = clients.web_pubsub.web_pub_sub.begin_regenerate_key
        started = regenerate(*WEB_PUBSUB, {"keyType": "Primary"}, polling=False).result()
        with pytest.raises(ResourceExistsError) as refused:
            regenerate(*WEB_PUBSUB, {"keyType": "Secondary"}, polling=False)
        listed = clients.web_pubsub.web_pub_sub.list_keys(*WEB_PUBSUB)

    assert refused.value.status_code == 409
    assert started.primary_key != listed.primary_key
    known = simulator.keys()
    assert started.primary_key in known


def test_a_new_salt_leaves_the_keys_alone(simulator: ControlClient) -> None:
    """Salt is the third thing that can be regenerated, and no key."""
    with sync_clients() as clients:
        before = clients.web_pubsub.web_pub_sub.list_keys(*WEB_PUBSUB).as_dict()
        clients.web_pubsub.web_pub_sub.begin_regenerate_key(*WEB_PUBSUB, {"keyType": "Salt"}).wait()
        assert clients.web_pubsub.web_pub_sub.list_keys(*WEB_PUBSUB).as_dict() == before

    assert regenerated(simulator) == 0


@pytest.mark.parametrize("name", ["key3", "Primary", "kerb1", ""])
def test_unknown_key_names_are_refused(simulator: ControlClient, name: str) -> None:
    """Nothing is regenerated for a name that the service does not know."""
    with sync_clients() as clients, pytest.raises(HttpResponseError) as refused:
        clients.storage.storage_accounts.regenerate_key(*STORAGE, {"keyName": name})

    assert refused.value.status_code == 400
    assert regenerated(simulator) == 0


@pytest.mark.parametrize(
    ("group", "name", "code"),
    [
        ("rg-orders", "stnothing", "ResourceNotFound"),
        ("rg-nothing", "stcontosoorders", "ResourceGroupNotFound"),
        ("rg-orders", "batchrendering", "ResourceNotFound"),
    ],
    ids=["account", "group", "type"],
)
def test_missing_accounts_are_not_found(simulator: ControlClient, group: str, name: str, code: str) -> None:
    """ARM says what is missing: the account, or its group."""
    with sync_clients() as clients, pytest.raises(ResourceNotFoundError) as refused:
        clients.storage.storage_accounts.list_keys(group, name)

    assert refused.value.error is not None
    assert refused.value.error.code == code
    assert simulator.journal()[-1]["status"] == 404


def test_a_secret_lives_its_whole_life(simulator: ControlClient) -> None:
    """Set, get, list, update, delete, recover and purge, as the client library does them."""
    expires = datetime(2031, 5, 1, tzinfo=UTC)
    with sync_clients() as clients:
        vault = clients.vault
        first = vault.set_secret("life", "one", tags={"a": "b"}, content_type="text/plain", expires_on=expires)
        second = vault.set_secret("life", "two", enabled=True)
        assert vault.get_secret("life").value == "two"
        assert vault.get_secret("life", first.properties.version).value == "one"
        assert (first.properties.tags, first.properties.content_type) == ({"a": "b"}, "text/plain")
        assert first.properties.expires_on == expires
        assert (second.properties.tags, second.properties.content_type) == (None, None)
        versions = {item.version for item in vault.list_properties_of_secret_versions("life")}
        assert versions == {first.properties.version, second.properties.version}
        updated = vault.update_secret_properties("life", first.properties.version, enabled=False)
        assert (updated.enabled, updated.tags, updated.expires_on) == (False, {"a": "b"}, expires)
        vault.begin_delete_secret("life").wait()
        with pytest.raises(ResourceNotFoundError):
            vault.get_secret("life")
        assert [item.name for item in vault.list_deleted_secrets()] == ["life"]
        with pytest.raises(ResourceExistsError) as taken:
            vault.set_secret("life", "three")
        vault.begin_recover_deleted_secret("life").wait()
        assert vault.get_secret("life").value == "two"
        vault.begin_delete_secret("life").wait()
        vault.purge_deleted_secret("life")
        assert list(vault.list_deleted_secrets()) == []
        assert vault.set_secret("life", "again").value == "again"
        assert len(list(vault.list_properties_of_secret_versions("life"))) == 1

    assert taken.value.error is not None
    assert taken.value.error.code == "Conflict"
    assert {entry["status"] for entry in simulator.journal()} >= {200, 204, 404, 409}


async def test_a_secret_lives_its_whole_life_with_an_aio_client(simulator: ControlClient) -> None:
    """The same for aio, whose deletion is one call."""
    async with aio_clients() as clients:
        vault = clients.vault
        first = await vault.set_secret("life", "one", tags={"a": "b"})
        await vault.set_secret("life", "two")
        assert (await vault.get_secret("life")).value == "two"
        versions = [item.version async for item in vault.list_properties_of_secret_versions("life")]
        assert len(versions) == 2
        updated = await vault.update_secret_properties("life", first.properties.version, tags={"c": "d"})
        assert updated.tags == {"c": "d"}
        await vault.delete_secret("life")
        assert (await vault.get_deleted_secret("life")).name == "life"
        await vault.recover_deleted_secret("life")
        await vault.delete_secret("life")
        await vault.purge_deleted_secret("life")
        assert "life" not in [item.name async for item in vault.list_properties_of_secrets()]

    assert simulator.journal()[-1]["path"] == "/secrets"


@pytest.mark.parametrize("size", [1, 2, 25])
def test_secrets_are_listed_in_pages(simulator: ControlClient, size: int) -> None:
    """The absolute nextLink, with its port and its skip token, is followed to the last page."""
    for number in range(30):
        simulator.add_secret("kv-orders", name=f"extra-{number}")
    with sync_clients() as clients:
        names = [item.name for item in clients.vault.list_properties_of_secrets(max_page_size=size)]

    assert len(names) == len(set(names)) == 34
    pages = [entry for entry in simulator.journal() if entry["path"] == "/secrets" and not entry["sign_in"]]
    assert len(pages) == -(-34 // size)


async def test_versions_are_listed_in_pages(simulator: ControlClient) -> None:
    """Versions have pages of their own."""
    async with aio_clients() as clients:
        made = {(await clients.vault.set_secret("many", str(number))).properties.version for number in range(5)}
        listed = [
            item.version async for item in clients.vault.list_properties_of_secret_versions("many", max_page_size=2)
        ]

    assert len(listed) == 5
    assert set(listed) == made
    assert len([entry for entry in simulator.journal() if entry["path"].endswith("/versions")]) == 3


def test_the_challenge_costs_one_request_per_process(simulator: ControlClient) -> None:
    """Signing in to a vault is marked, so that tests can count what comes beyond it."""
    with sync_clients() as clients:
        clients.vault.get_secret("orders-storage-key")
        simulator.clear_journal()
        clients.vault.get_secret("orders-storage-key")

    journal = simulator.journal()
    assert [(entry["method"], entry["path"], entry["status"]) for entry in journal] == [
        ("GET", "/secrets/orders-storage-key/", 200)
    ]


def test_what_a_secret_may_hold_is_limited(simulator: ControlClient) -> None:
    """Value, tags and names have the limits of the service."""
    too_many = {f"tag-{number}": "x" for number in range(16)}
    with sync_clients() as clients:
        vault = clients.vault
        for arguments in (
            {"name": "big", "value": "x" * 25601},
            {"name": "tags", "value": "x", "tags": too_many},
            {"name": "tag", "value": "x", "tags": {"a": "x" * 257}},
            {"name": "under_score", "value": "x"},
        ):
            with pytest.raises(HttpResponseError) as refused:
                vault.set_secret(**arguments)
            assert refused.value.status_code == 400
            assert refused.value.error is not None
            assert refused.value.error.code == "BadParameter"
        vault.set_secret("full", "x" * 25600, tags=dict(list(too_many.items())[:15]))

    assert len(simulator.journal()) >= 5
