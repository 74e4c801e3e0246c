"""Estates: what can be described, what is complained about, and who judges the outcome."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from simulator.client import ControlClient, ControlError
from tests.conformance.simulator.clients import sync_clients
from tests.conformance.simulator.wire import MANAGEMENT, VAULT, send, token_for

BILLING_SECRETS = "https://kv-billing.vault.azure.net/secrets"


def verdict_of(simulator: ControlClient, secret: str, vault: str = "kv-orders") -> tuple[str | None, bool]:
    """What the judge says of one secret."""
    (row,) = [row for row in simulator.verdict() if (row["vault"], row["secret"]) == (vault, secret)]
    return row["slot"], row["opens"]


def test_the_default_estate_is_whole(simulator: ControlClient) -> None:
    """One account per service, six publications in two vaults that all open, two secrets of no account."""
    rows = simulator.verdict()

    assert sorted(account["type"] for account in simulator.accounts()) == ["batch", "storage", "webpubsub"]
    assert [row["opens"] for row in rows] == [True] * 6
    assert {row["vault"] for row in rows} == {"kv-orders", "kv-billing"}
    assert len({(row["account"], row["slot"]) for row in rows}) == 3


def test_every_complaint_is_made_at_once(simulator: ControlClient) -> None:
    """The author of an estate is told each place that is wrong."""
    wrong: dict[str, Any] = {
        "cloud": "mars",
        "colour": "red",
        "accounts": [
            {"type": "queue", "name": "a", "resource_group": "g"},
            {"id": "/subscriptions/x"},
            {"type": "storage", "name": "st", "resource_group": "g", "ages": {"key1": "P1Y", "key3": "P1D"}},
            {"type": "batch", "name": "ST", "resource_group": "g", "locked": "yes"},
        ],
        "vaults": [
            {
                "name": "kv",
                "secrets": [
                    {"name": "under_score", "account": "st", "slot": "Primary"},
                    {"name": "b", "account": "nobody"},
                    {"name": "c", "account": "st", "slot": "key1", "format": "yaml", "tags": {"a": 1}},
                    {"name": "c"},
                ],
            }
        ],
        "generate": {"accounts": {"storage": "many"}, "due": 2},
    }

    with pytest.raises(ControlError) as refused:
        simulator.reset(wrong)

    complaints = json.loads(str(refused.value).partition("400 ")[2])["complaints"]
    assert [complaint.partition(":")[0] for complaint in complaints] == [
        "cloud",
        "accounts[0].type",
        "accounts[1].id",
        "accounts[2].ages.key1",
        "accounts[2].ages.key3",
        "accounts[3].locked",
        "accounts[3].name",
        "vaults[0].secrets[0].name",
        "vaults[0].secrets[0].slot",
        "vaults[0].secrets[1].account",
        "vaults[0].secrets[2].format",
        "vaults[0].secrets[2].tags.a",
        "vaults[0].secrets[3].name",
        "generate.accounts.storage",
        "generate.due",
        "colour",
    ]


def test_an_account_has_what_its_estate_says(simulator: ControlClient) -> None:
    """Id, extra properties, lock and switched-off keys reach the ARM answers."""
    simulator.reset(
        {
            "subscription": "11111111-1111-1111-1111-111111111111",
            "accounts": [
                {
                    "id": "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-a/providers"
                    "/Microsoft.Storage/storageAccounts/stone",
                    "location": "japaneast",
                    "shared_keys": False,
                    "locked": True,
                    "properties": {"keyPolicy": {"keyExpirationPeriodInDays": 90}, "networkAcls": {"bypass": "None"}},
                }
            ],
        }
    )
    account = simulator.account("STONE")

    told = send("GET", f"{MANAGEMENT}{account['id']}?api-version=1", token=token_for(MANAGEMENT)).json

    assert (told["location"], told["properties"]["allowSharedKeyAccess"]) == ("japaneast", False)
    assert told["properties"]["keyPolicy"] == {"keyExpirationPeriodInDays": 90}
    assert told["properties"]["networkAcls"]["bypass"] == "None"
    assert told["properties"]["networkAcls"]["defaultAction"] == "Allow"
    assert account["locked"] is True


def test_a_secret_has_what_its_estate_says(simulator: ControlClient) -> None:
    """Created and expiry are counted from now; blanks in tags are filled; random text is random."""
    with sync_clients() as clients:
        secret = clients.vault.get_secret("orders-storage-connection")
        passwords = {clients.vault.get_secret("orders-smtp-password").value}
        simulator.reset()
        passwords.add(clients.vault.get_secret("orders-smtp-password").value)

    age = secret.properties.expires_on - secret.properties.created_on
    assert age.days == 90
    assert secret.properties.tags["resource-id"] == simulator.account("stcontosoorders")["id"]
    assert secret.properties.tags["active-slot"] == "key1"
    assert secret.properties.content_type == "text/plain"
    assert len(passwords) == 2


def test_a_fleet_is_generated(simulator: ControlClient) -> None:
    """So many accounts per service, spread over the vaults, an exact share of them due."""
    simulator.reset(
        {
            "generate": {
                "accounts": {"storage": 30, "batch": 20, "webpubsub": 10},
                "vaults": 3,
                "publications": 2,
                "due": 0.25,
            }
        }
    )
    rows = simulator.verdict()
    token = token_for(VAULT)

    items: list[dict[str, Any]] = []
    for number in range(3):
        url = f"https://kv-fleet-0{number}.vault.azure.net/secrets?api-version=7.4"
        while url:
            page = send("GET", url, token=token).json
            items += page["value"]
            url = page["nextLink"]

    assert len(simulator.accounts()) == 60
    assert len(rows) == len(items) == 120
    assert all(row["opens"] for row in rows)
    soon = datetime.now(UTC).timestamp() + timedelta(days=30).total_seconds()  # noqa: TID251  # a test's clock
    assert sum(item["attributes"]["exp"] < soon for item in items) == 30


def test_an_estate_can_grow(simulator: ControlClient) -> None:
    """Accounts and secrets are added while it runs; what is wrong with them is said."""
    simulator.add_account(type="batch", name="batchnew", resource_group="rg-new")
    simulator.add_secret("kv-orders", name="new", account="batchnew", slot="Primary", tags={"resource-id": "{id}"})

    assert verdict_of(simulator, "new") == ("Primary", True)
    with pytest.raises(ControlError, match="name: new is already there"):
        simulator.add_secret("kv-orders", name="new")
    with pytest.raises(ControlError, match="kv-nowhere is not there"):
        simulator.add_secret("kv-nowhere", name="new")


def test_the_judge_sees_a_key_that_died(simulator: ControlClient) -> None:
    """What was published opens nothing once its slot is regenerated, in every format."""
    for name, slot in (("stcontosoorders", "key1"), ("batchrendering", "Secondary"), ("wps-contoso-live", "Primary")):
        simulator.regenerate(name, slot)

    assert [(row["slot"], row["opens"]) for row in simulator.verdict()] == [(None, False)] * 6


def test_the_judge_sees_a_key_that_is_not_accepted_yet(simulator: ControlClient) -> None:
    """A new key that was published too early is known, and opens nothing."""
    simulator.behave(propagation_delay=60)
    with sync_clients() as clients:
        regenerate = clients.storage.storage_accounts.regenerate_key
        keys = regenerate("rg-orders", "stcontosoorders", {"keyName": "key2"}).keys_property
        tags = clients.vault.get_secret("orders-storage-key").properties.tags
        clients.vault.set_secret("orders-storage-key", keys[1].value, tags=tags)

    assert verdict_of(simulator, "orders-storage-key") == ("key2", False)


def test_the_judge_sees_shared_keys_that_are_off(simulator: ControlClient) -> None:
    """The right key of an account that takes no keys opens nothing."""
    simulator.change_account("wps-contoso-live", shared_keys=False)

    assert verdict_of(simulator, "live-connection") == ("Primary", False)


def test_the_history_has_what_was_true_in_between(simulator: ControlClient) -> None:
    """What an application could open stands beside each version, and which key was replaced by which."""
    begun = len(simulator.history())
    first = simulator.account("stcontosoorders")["slots"]["key1"]["fingerprint"]
    simulator.behave(propagation_delay=60)
    with sync_clients() as clients:
        regenerate = clients.storage.storage_accounts.regenerate_key
        keys = regenerate("rg-orders", "stcontosoorders", {"keyName": "key2"}).keys_property
        tags = clients.vault.get_secret("orders-storage-key").properties.tags
        clients.vault.set_secret("orders-storage-key", keys[1].value, tags=tags)
    simulator.change_secret("kv-orders", "orders-storage-key", tags={"active-slot": "key2", "owner": None})
    simulator.regenerate("stcontosoorders", "key1")

    made, early, edited, ended = simulator.history()[begun:]
    assert ("key2", made["key"]) == (early["slot"], early["key"])
    assert (False, True) == (early["accepted"], early["enabled"])
    assert (early["version"], "key2") == (edited["version"], edited["tags"]["active-slot"])
    assert first == ended["replaced"]


def test_a_person_edits_deletes_and_recovers_a_secret(simulator: ControlClient) -> None:
    """Value, version and the other tags stay as they are."""
    place = ("kv-orders", "orders-storage-key")
    simulator.change_secret(*place, tags={"owner": "me", "validity-days": None}, enabled=False)
    simulator.change_secret(*place, deleted=True)
    while_deleted = [row for row in simulator.verdict() if (row["vault"], row["secret"]) == place]
    simulator.change_secret(*place, deleted=False, enabled=True)

    past = [row for row in simulator.history() if (row.get("vault"), row.get("secret")) == place]
    begun, edited, deleted, recovered = past
    kept = {name: text for name, text in begun["tags"].items() if name != "validity-days"}
    assert [] == while_deleted
    assert ("key1", True) == verdict_of(simulator, place[1])
    assert (False, {**kept, "owner": "me"}) == (edited["enabled"], edited["tags"])
    assert [False, True, False] == [row["deleted"] for row in (edited, deleted, recovered)]
    assert 1 == len({(row["version"], row["key"]) for row in (begun, edited, deleted, recovered)})


def test_a_person_saves_a_secret_anew(simulator: ControlClient) -> None:
    """It is the same but for its version."""
    place = ("kv-orders", "orders-storage-key")
    simulator.change_secret(*place, renewed=True)

    before, after = [row for row in simulator.history() if (row.get("vault"), row.get("secret")) == place]
    assert before["version"] != after["version"]
    assert (before["key"], before["tags"], before["expires"]) == (after["key"], after["tags"], after["expires"])


def test_tags_are_texts(simulator: ControlClient) -> None:
    """A number is complained about, and changes nothing."""
    before = simulator.history()
    with pytest.raises(ControlError, match="tags"):
        simulator.change_secret("kv-orders", "orders-storage-key", tags={"owner": 1})

    assert before == simulator.history()


@pytest.mark.parametrize(
    ("secret", "vault", "change"),
    [
        ("orders-storage-connection", "kv-orders", ("core.windows.net", "core.chinacloudapi.cn")),
        ("orders-storage-connection", "kv-orders", ("AccountName=stcontosoorders", "AccountName=stcontosobills")),
        ("live-connection", "kv-orders", ("wps-contoso-live", "wps-contoso-dead")),
        ("rendering-account", "kv-billing", ("batchrendering", "batchbilling")),
        ("rendering-account", "kv-billing", ("westeurope", "northeurope")),
        ("rendering-account", "kv-billing", ('"key"', '"clef"')),
        ("orders-storage-key", "kv-billing", ("=", "")),
    ],
)
def test_the_judge_sees_a_value_that_leads_elsewhere(
    simulator: ControlClient, secret: str, vault: str, change: tuple[str, str]
) -> None:
    """The right key under a wrong name or endpoint opens nothing."""
    token = token_for(VAULT)
    url = f"https://{vault}.vault.azure.net/secrets/{secret}?api-version=7.4"
    told = send("GET", url, token=token).json
    assert change[0] in told["value"]

    send("PUT", url, {"value": told["value"].replace(*change), "tags": told["tags"]}, token=token)

    assert verdict_of(simulator, secret, vault)[1] is False


def test_the_judge_sees_an_account_that_is_gone(simulator: ControlClient) -> None:
    """A tag that names no account is a row that opens nothing; a secret without such a tag is no row."""
    missing = "/subscriptions/x/resourceGroups/rg/providers/Microsoft.Batch/batchAccounts/nobody"
    simulator.add_secret("kv-billing", name="lost", tags={"ProviderAddress": missing})

    assert verdict_of(simulator, "lost", "kv-billing") == (None, False)
    assert "invoice-signing-passphrase" not in [row["secret"] for row in simulator.verdict()]


def test_every_key_is_remembered(simulator: ControlClient) -> None:
    """A search for leaked keys has to know the dead ones and the promised ones too."""
    simulator.behave(operation_seconds=60)
    before = simulator.keys()
    with sync_clients() as clients:
        batch = clients.batch.batch_account.regenerate_key("rg-rendering", "batchrendering", {"keyName": "Primary"})
        promised = clients.web_pubsub.web_pub_sub.begin_regenerate_key(
            "rg-live", "wps-contoso-live", {"keyType": "Primary"}, polling=False
        ).result()

    added = set(simulator.keys()) - set(before)
    assert added == {batch.primary, promised.primary_key}


def test_accounts_are_shown_without_keys(simulator: ControlClient) -> None:
    """Fingerprints and dates stand for keys everywhere but in the list of keys."""
    shown = json.dumps(simulator.accounts()) + json.dumps(simulator.verdict())

    known = simulator.keys()
    assert len(known) >= 6
    assert [key in shown for key in known] == [False] * len(known)
    assert all(len(slot["fingerprint"]) == 12 for account in simulator.accounts() for slot in account["slots"].values())


def test_names_are_matched_without_case(simulator: ControlClient) -> None:
    """ARM ids, vault hosts and secret names are the same in any case."""
    account_id = simulator.account("wps-contoso-live")["id"].upper()
    token = token_for(MANAGEMENT)

    account = send("GET", f"{MANAGEMENT}{account_id}?api-version=1", token=token)
    secret = send(
        "GET",
        "https://KV-Billing.vault.azure.net/secrets/Rendering-KEY/?api-version=7.4",
        token=token_for(VAULT),
    )

    assert account.json["name"] == "wps-contoso-live"
    assert secret.json["id"].startswith(f"{BILLING_SECRETS}/rendering-key/")


def test_an_api_version_has_to_be_named(simulator: ControlClient) -> None:
    """Any will do, none will not."""
    with sync_clients(api_version="2018-12-01") as clients:
        assert clients.vault is not None
        assert clients.batch.batch_account.get("rg-rendering", "batchrendering").name == "batchrendering"
    without = send("GET", f"{MANAGEMENT}{simulator.account('batchrendering')['id']}", token=token_for(MANAGEMENT))

    assert (without.status, without.json["error"]["code"]) == (400, "MissingApiVersionParameter")


@pytest.mark.parametrize("asked", ["0", "26", "x"])
@pytest.mark.usefixtures("simulator")
def test_a_page_has_one_to_twenty_five_items(asked: str) -> None:
    """Anything else is a bad parameter."""
    answer = send("GET", f"{BILLING_SECRETS}?api-version=7.4&maxresults={asked}", token=token_for(VAULT))

    assert (answer.status, answer.json["error"]["code"]) == (400, "BadParameter")


def test_a_disabled_secret_can_be_enabled_again(simulator: ControlClient) -> None:
    """The client sees SecretDisabled, updates the version, and reads it."""
    simulator.add_secret("kv-orders", name="off", enabled=False)
    with sync_clients() as clients:
        with pytest.raises(HttpResponseError) as refused:
            clients.vault.get_secret("off")
        clients.vault.update_secret_properties("off", enabled=True)
        assert clients.vault.get_secret("off").properties.enabled

    assert refused.value.error is not None
    assert refused.value.error.innererror == {"code": "SecretDisabled"}
