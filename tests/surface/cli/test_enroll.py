"""`enroll`: a secret comes under rotation, and no key changes."""

import re

import pytest

from simulator.client import ControlClient
from tests.surface.cli.command import Command
from tests.surface.cli.estates import FRESH, PUBSUB_ID, STORAGE, STORAGE_ID

NEW = "kv-orders/live-key"


def test_a_secret_is_created_from_the_published_slot(command: Command, simulator: ControlClient) -> None:
    """It joins the publications that exist, and the answer has all that a person needs next."""
    ran = command("enroll", NEW, "--resource-id", STORAGE_ID)

    assert ran.code == 0
    assert f"{NEW} is created from key1; slot key1, fingerprint " in ran.out
    assert "the account is also published by kv-billing/orders-storage-key" in ran.out
    assert re.search(r"next: the previous key is promised until 20\S+; an enrolment is a publication", ran.out)
    assert "due 20" not in ran.out
    assert "@Microsoft.KeyVault(VaultName=kv-orders;SecretName=live-key)" in ran.out
    (verdict,) = (v for v in simulator.verdict() if (v["vault"], v["secret"]) == ("kv-orders", "live-key"))
    assert (verdict["slot"], verdict["opens"]) == ("key1", True)
    assert {s["regenerated"] for s in simulator.account(STORAGE)["slots"].values()} == {0}


def test_a_secret_that_holds_a_key_is_adopted(command: Command, simulator: ControlClient) -> None:
    """The first secret of an account may hold either key; it stays published."""
    simulator.add_account(type="storage", name="stfirst", resource_group="rg-first")
    simulator.add_secret("kv-orders", name="by-hand", account="stfirst", slot="key2")
    account = STORAGE_ID.replace("rg-orders", "rg-first").replace(STORAGE, "stfirst")

    ran = command("enroll", "kv-orders/by-hand", "--resource-id", account, "--validity-days", "30")

    assert ran.code == 0
    assert "holds the key of key2 and is adopted as it is; slot key2" in ran.out
    assert "no other secret publishes the account" in ran.out
    assert command("status", "kv-orders/by-hand", "--json").document["accounts"][0]["active_slot"] == "key2"


def test_the_shape_of_the_json_is_stable(command: Command) -> None:
    """The names that scripts rely on stay what they are."""
    document = command("enroll", NEW, "--resource-id", PUBSUB_ID, "--format", "json", "--json").document

    assert set(document) == {
        "account",
        "secrets",
        "status",
        "verdict",
        "steps",
        "trigger",
        "seconds",
        "due",
        "reference",
        "exit_code",
    }
    assert (document["status"], document["secrets"]) == ("changed", [FRESH, NEW])


def test_the_lease_that_holds_nobody_else_off_is_mentioned_where_something_is_written(command: Command) -> None:
    """A pass in another process may rotate the account meanwhile."""
    asked = ("enroll", NEW, "--resource-id", PUBSUB_ID)

    tried, done, again = command(*asked, "--dry-run"), command(*asked), command(*asked)

    assert [0, 1, 0] == [ran.out.count("the lease is in-process") for ran in (tried, done, again)]


def test_a_dry_run_writes_nothing(command: Command, simulator: ControlClient) -> None:
    """It says what would be written."""
    simulator.clear_journal()

    ran = command("enroll", NEW, "--resource-id", PUBSUB_ID, "--dry-run")

    assert ran.code == 0
    assert f"{NEW} is created from Primary; nothing was written" in ran.out
    assert not any(entry["method"] == "PUT" for entry in simulator.journal())


def test_a_second_enrolment_changes_nothing(command: Command) -> None:
    """The same command again is fine and says that it is done."""
    command("enroll", NEW, "--resource-id", PUBSUB_ID)

    ran = command("enroll", NEW, "--resource-id", PUBSUB_ID)

    assert ran.code == 0
    assert "is enrolled already" in ran.out
    assert "; one is due 20" in ran.out


@pytest.mark.parametrize(
    ("asked", "stands"),
    [(("--format", "json"), "the format key"), (("--validity-days", "30"), "a validity of 90 days")],
)
def test_other_terms_than_those_that_stand_are_refused(command: Command, asked: tuple[str, str], stands: str) -> None:
    """Who asks for something else must not think that it was done; the same terms again are fine."""
    command("enroll", NEW, "--resource-id", PUBSUB_ID)

    other = command("enroll", NEW, "--resource-id", PUBSUB_ID, *asked)
    same = command("enroll", NEW, "--resource-id", PUBSUB_ID, "--format", "key", "--validity-days", "90")

    assert (other.code, same.code) == (3, 0)
    assert f"is enrolled already with {stands}" in other.err


def test_an_id_as_the_portal_shows_it_is_understood(command: Command) -> None:
    """A slash at the end changes nothing."""
    assert command("enroll", NEW, "--resource-id", f"{PUBSUB_ID}/", "--dry-run").code == 0


@pytest.mark.parametrize(
    ("ref", "account", "code"),
    [
        ("kv-orders/orders-smtp-password", PUBSUB_ID, "refused"),
        ("kv-elsewhere/key", PUBSUB_ID, "refused"),
        (FRESH, STORAGE_ID, "refused"),
        (NEW, PUBSUB_ID.replace("wps-contoso-live", "wps-nobody"), "not-found"),
    ],
    ids=["somebody else's secret", "a vault that is not allowed", "another account's", "an account that is not there"],
)
def test_what_is_not_ours_is_not_overwritten(command: Command, ref: str, account: str, code: str) -> None:
    """A refusal names what is in the way, and a person must act."""
    ran = command("enroll", ref, "--resource-id", account, "--json")

    assert (ran.code, ran.document["error"]["code"]) == (3, code)


@pytest.mark.parametrize(
    ("change", "complaint"), [({"shared_keys": False}, "does not accept keys"), ({"locked": True}, "read-only lock")]
)
def test_what_could_not_be_rotated_is_not_enrolled(
    command: Command, simulator: ControlClient, change: dict[str, bool], complaint: str
) -> None:
    """S8: what stands in the way of an account is told before anything is written."""
    simulator.change_account(STORAGE, **change)

    ran = command("enroll", NEW, "--resource-id", STORAGE_ID, "--json")

    assert (ran.code, "refused") == (3, ran.document["error"]["code"])
    assert complaint in ran.document["error"]["message"]


def test_a_format_that_the_service_does_not_have_is_a_wrong_argument(command: Command) -> None:
    """Batch has no connection string."""
    batch = STORAGE_ID.replace("Microsoft.Storage/storageAccounts", "Microsoft.Batch/batchAccounts")

    ran = command("enroll", NEW, "--resource-id", batch, "--format", "connection-string", "--json")

    assert (ran.code, ran.document["error"]["code"]) == (2, "bad-input")
