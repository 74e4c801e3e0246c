"""`status`: how accounts stand, from the listing alone."""

from simulator.client import ControlClient
from tests.surface.cli.command import Command
from tests.surface.cli.estates import DUE, FRESH, MICROSOFT_SQL, PUBSUB, PUBSUB_ID, STORAGE, managed


def test_every_account_has_one_row(command: Command) -> None:
    """A person sees type, secrets, slot, age, expiry and what is due, one account to a line."""
    ran = command("status")

    assert ran.code == 0
    assert ran.row(STORAGE) == (
        f"{STORAGE} storage kv-billing/orders-storage-key, kv-orders/orders-storage-connection, {DUE} "
        "key1 75 d in 14 d 15 d ago rotate: due"
    )
    assert ran.row(PUBSUB) == f"{PUBSUB} WebPubSub {FRESH} Primary 5 d in 84 d in 54 d leave: fresh"
    assert ran.err == ""


def test_the_json_has_the_same_facts(command: Command) -> None:
    """The names and shapes that scripts rely on stay what they are."""
    document = command("status", FRESH, "--json").document

    (account,) = document["accounts"]
    assert set(document) == {"at", "accounts", "strays", "problems", "exit_code"}
    assert set(account) == {
        "account",
        "type",
        "secrets",
        "active_slot",
        "published",
        "expires",
        "due",
        "retire_at",
        "staged_slot",
        "verdict",
    }
    assert (account["account"], account["secrets"], account["active_slot"]) == (PUBSUB_ID, [FRESH], "Primary")
    assert (account["retire_at"], account["staged_slot"]) == (None, None)
    assert account["published"] < document["at"] < account["due"] < account["expires"]


def test_no_value_is_read(command: Command, simulator: ControlClient) -> None:
    """The listing is enough: no secret is opened and no account is asked."""
    simulator.clear_journal()

    command("status")

    asked = [entry for entry in simulator.journal() if not entry["sign_in"]]
    assert {entry["path"] for entry in asked} == {"/secrets"}


def test_an_account_that_cannot_be_rotated_needs_a_person(command: Command, simulator: ControlClient) -> None:
    """Tags that contradict each other are told with the way out, and the exit code says so."""
    simulator.add_secret("kv-orders", **managed("hasty", PUBSUB, "Primary", tags={"validity-days": "2"}))

    ran = command("status")

    assert ran.code == 3
    assert "Stuck" in ran.out
    assert "raise validity-days" in ran.out


def test_a_secret_without_an_account_is_named(command: Command, simulator: ControlClient) -> None:
    """A secret that asks for rotation without saying of what is a problem of its own."""
    simulator.add_secret("kv-orders", name="lost", tags={"active-slot": "key1"})

    told, asked = command("status"), command("status", "kv-orders/lost", "--json")

    assert (told.code, asked.code) == (3, 3)
    assert told.row("kv-orders/lost") == (
        "kv-orders/lost kv-orders/lost: tag resource-id: it is missing; give it the resource id of the account"
    )
    assert [stray["secrets"] for stray in asked.document["strays"]] == [["kv-orders/lost"]]
    assert asked.document["accounts"] == []


def test_what_is_left_to_other_functions_is_told_and_no_failure(command: Command, simulator: ControlClient) -> None:
    """A database in the same vault, tagged for Microsoft's functions, is nobody's work here; what we tag is."""
    simulator.add_secret("kv-orders", name="sql-password", tags=MICROSOFT_SQL)

    left = command("status")
    (account,) = command("status", "kv-orders/sql-password", "--json").document["accounts"]
    simulator.change_secret("kv-orders", "sql-password", tags={"rotation-policy": "format=key"})
    meant = command("status")

    assert (left.code, meant.code) == (0, 3)
    assert left.row("sql-orders") == "sql-orders servers kv-orders/sql-password leave: unknown-type"
    assert (account["active_slot"], account["due"], account["expires"]) == (None, None, None)
    assert "refuse: unknown-type" in meant.out


def test_a_vault_that_cannot_be_listed_is_told(command: Command, simulator: ControlClient) -> None:
    """What is seen is shown, and what is not is said."""
    simulator.firewall("kv-billing", closed=True)

    ran = command("status")
    (problem,) = command("status", "--json").document["problems"]

    assert ran.code == 3
    assert ran.row("kv-billing").startswith("kv-billing failed: forbidden")
    assert (problem["vault"], problem["code"]) == ("kv-billing", "forbidden")


def test_a_vault_that_fails_for_a_while_is_transient(command: Command, simulator: ControlClient) -> None:
    """Waiting helps, so the exit code is 1."""
    simulator.fault(host="kv-billing", path="/secrets", status=429, retry_after=100)

    ran = command("status", "--json")

    assert ran.code == 1
    assert ran.document["problems"][0]["code"] == "throttled"


def test_a_staged_key_and_a_retirement_are_shown(command: Command, simulator: ControlClient) -> None:
    """What waits to happen is part of how an account stands."""
    simulator.add_account(type="storage", name="stwaiting", resource_group="rg-wait")
    state = "staged-slot=key2;staged-at=2026-01-02T03:04:05Z;retire-at=2099-01-02T03:04:05Z"
    simulator.add_secret("kv-orders", **managed("waiting", "stwaiting", "key1", tags={"rotation-state": state}))

    ran = command("status", "kv-orders/waiting")
    (account,) = command("status", "kv-orders/waiting", "--json").document["accounts"]

    assert "Retire Staged State" in ran.words
    assert ran.row("stwaiting").endswith("key2 publish: staged")
    assert (account["staged_slot"], account["retire_at"]) == ("key2", "2099-01-02T03:04:05Z")


def test_nothing_managed_is_fine(command: Command, simulator: ControlClient) -> None:
    """An empty fleet is an answer, not an error."""
    simulator.reset({"vaults": [{"name": "kv-orders"}, {"name": "kv-billing"}]})

    ran = command("status")

    assert (ran.code, ran.out) == (0, "0 accounts\n")
