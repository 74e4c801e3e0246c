"""`plan`: what a pass would do, changing nothing."""

import pytest

from rotation.model import Sensitive
from simulator.client import ControlClient
from tests.surface.cli.command import Command
from tests.surface.cli.estates import BATCH, DUE, FRESH, MICROSOFT_SQL, PUBSUB, STORAGE


def test_every_account_gets_its_verdict(command: Command) -> None:
    """Each account has a line with what would be done and why."""
    ran = command("plan")

    assert ran.code == 0
    assert "leave: fresh next due" in ran.row(PUBSUB)
    assert "rotate: due" in ran.row(STORAGE)
    assert "rotate: due" in ran.row(BATCH)
    assert ran.out.splitlines()[-1] == "1 left alone, 2 planned"


def test_the_shape_of_the_json_is_stable(command: Command) -> None:
    """The names that scripts rely on stay what they are."""
    document = command("plan", DUE.upper(), "--json").document

    (account,) = document["accounts"]
    assert set(document) == {"accounts", "counts", "problems", "exit_code"}
    assert set(account) == {"account", "secrets", "status", "verdict", "keys", "trigger", "seconds"}
    assert (account["status"], account["trigger"]) == ("planned", "operator")
    assert account["verdict"]["slot"] == "key2"
    assert len(account["verdict"]["secrets"]) == 3


def test_both_keys_are_told_by_their_fingerprints(command: Command, simulator: ControlClient) -> None:
    """Who finds a key sees whose it is, and by which role to declare it compromised."""
    every_key = simulator.keys()

    ran = command("plan", FRESH)
    (account,) = command("plan", FRESH, "--json").document["accounts"]

    assert [("Primary", "active"), ("Secondary", "idle")] == [(key["slot"], key["role"]) for key in account["keys"]]
    assert {key["fingerprint"] for key in account["keys"]} <= {Sensitive(key).fingerprint for key in every_key}
    for key in account["keys"]:
        assert f"{key['fingerprint']} {key['slot']} {key['role']} {PUBSUB}" == ran.row(key["fingerprint"])


def test_a_dry_run_tells_the_keys_too(command: Command) -> None:
    """It is a plan for another request."""
    (account,) = command("rotate", FRESH, "--force", "--dry-run", "--json").document["accounts"]

    assert 2 == len(account["keys"])


def test_what_is_left_to_other_functions_is_no_failure(command: Command, simulator: ControlClient) -> None:
    """A database in the same vault: nobody is asked to act, unless somebody wants it rotated here."""
    simulator.add_secret("kv-orders", name="sql-password", tags=MICROSOFT_SQL)
    simulator.clear_journal()

    planned, every, audited = command("plan"), command("rotate", "--all"), command("audit")
    insisted = command("rotate", "kv-orders/sql-password", "--force")

    assert (planned.code, every.code, audited.code, insisted.code) == (0, 0, 0, 3)
    assert "leave: unknown-type" in planned.row("sql-orders")
    assert "leave: unknown-type" in insisted.row("sql-orders")
    assert not any("sql-orders" in entry["path"] for entry in simulator.journal())


def test_nothing_changes(command: Command, simulator: ControlClient) -> None:
    """A plan reads: it neither writes to a vault nor regenerates a key."""
    simulator.clear_journal()

    command("plan")

    sent = {(entry["method"], entry["path"].rpartition("/")[2]) for entry in simulator.journal()}
    assert {name for method, name in sent if method in ("POST", "PUT", "PATCH")} <= {"listKeys", "token"}


def test_a_full_look_finds_what_a_listing_does_not(command: Command, simulator: ControlClient) -> None:
    """A key that was regenerated elsewhere shows only when values and keys are compared."""
    simulator.regenerate(PUBSUB, "Primary")

    assert "republish: drift" in command("plan", FRESH).row(PUBSUB)


@pytest.mark.parametrize("name", ["plan", "status", "rotate"])
def test_a_vault_that_is_not_ours_is_named(command: Command, simulator: ControlClient, name: str) -> None:
    """A name that is in no setting is told as that, before anything is looked at."""
    simulator.clear_journal()

    ran = command(name, DUE, "kv-nope/orders-storage-key")

    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith("error: kv-nope is not one of the vaults in ROTATION_VAULTS")
    assert simulator.journal() == []


def test_a_refusal_needs_a_person(command: Command, simulator: ControlClient) -> None:
    """A read-only lock is met before anything is changed."""
    simulator.change_account(STORAGE, locked=True)

    ran = command("plan", DUE)

    assert ran.code == 3
    assert "refuse: read-only-lock" in ran.row(STORAGE)
