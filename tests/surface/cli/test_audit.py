"""`audit`: where vaults and accounts disagree, and what may be mended without a new key."""

import pytest

from simulator.client import ControlClient
from tests.surface.cli.command import Command
from tests.surface.cli.estates import BATCH, FRESH, PUBSUB, STORAGE, managed


def test_agreement_is_fine_even_where_a_key_is_due(command: Command) -> None:
    """Rotations that are due are the sweep's business, not a finding."""
    ran = command("audit")

    assert (ran.code, ran.out) == (0, "3 accounts looked at; 0 repaired, 0 found, 0 failed\n")


@pytest.fixture
def disagreeing(simulator: ControlClient) -> ControlClient:
    """Drift in one account, a wrong tag in a second and a split in a third."""
    simulator.regenerate(PUBSUB, "Primary")
    for name in ("sttag", "stsplit"):
        simulator.add_account(type="storage", name=name, resource_group="rg-odd")
    fresh = {"created": "P5D", "expires": "P85D"}
    simulator.add_secret("kv-orders", **managed("tag", "sttag", "key1", tags={"active-slot": "key2"}, **fresh))
    simulator.add_secret("kv-orders", **managed("split-new", "stsplit", "key2", **fresh))
    simulator.add_secret("kv-orders", **managed("split-old", "stsplit", "key1", **(fresh | {"created": "P80D"})))
    return simulator


def test_disagreements_are_found_and_nothing_is_changed(command: Command, disagreeing: ControlClient) -> None:
    """Each is a row, the exit code is 1, and the way to mend them is told."""
    disagreeing.clear_journal()

    ran = command("audit")

    assert ran.code == 1
    assert "republish: drift" in ran.row(PUBSUB)
    assert "retag: wrong-tag" in ran.row("sttag")
    assert "align: split" in ran.row("stsplit")
    assert "audit --repair" in ran.out
    assert not any(entry["method"] in ("PUT", "PATCH") for entry in disagreeing.journal())


def test_repairs_regenerate_nothing(command: Command, disagreeing: ControlClient) -> None:
    """Everything is mended, what is due stays due, and no key is made."""
    disagreeing.clear_journal()

    ran = command("audit", "--repair", "--json")

    statuses = {a["account"].rpartition("/")[2]: a["status"] for a in ran.document["accounts"]}
    assert ran.code == 0
    assert statuses == {
        PUBSUB: "changed",
        "sttag": "changed",
        "stsplit": "changed",
        STORAGE: "planned",
        BATCH: "planned",
    }
    assert not any("regenerate" in entry["path"].lower() for entry in disagreeing.journal())
    assert all(v["opens"] for v in disagreeing.verdict())
    assert command("audit").code == 0


def test_a_repair_mentions_the_lease_that_holds_nobody_else_off(command: Command, disagreeing: ControlClient) -> None:
    """It writes as a rotation does; where nothing is written nobody was in danger."""
    del disagreeing
    looked, repaired, again = command("audit"), command("audit", "--repair"), command("audit", "--repair")

    assert [0, 1, 0] == [ran.out.count("the lease is in-process") for ran in (looked, repaired, again)]


def test_the_shape_of_the_json_is_stable(command: Command) -> None:
    """The names that scripts rely on stay what they are."""
    document = command("audit", "--json").document

    assert set(document) == {"accounts", "counts", "problems", "exit_code"}
    assert document["counts"] == {"left": 1, "planned": 2}


def test_what_needs_a_person_outweighs_what_can_be_mended(command: Command, disagreeing: ControlClient) -> None:
    """The exit code is the gravest of all."""
    disagreeing.change_account(BATCH, locked=True)

    ran = command("audit", "--json")

    assert (ran.code, ran.document["exit_code"]) == (3, 3)


def test_a_repair_that_cannot_be_done_yet_is_transient(command: Command, simulator: ControlClient) -> None:
    """A vault that fails while it is written to is told, and a later repair goes on."""
    simulator.regenerate(PUBSUB, "Primary")
    simulator.fault(host="kv-orders", path=FRESH.partition("/")[2], method="GET", status=429, retry_after=100)

    ran = command("audit", "--repair")

    assert ran.code == 1
    assert "failed: throttled" in ran.row(PUBSUB)
    assert ran.out.endswith("3 accounts looked at; 0 repaired, 0 found, 1 failed\n")


def test_a_repair_that_fails_is_no_repair(command: Command, simulator: ControlClient) -> None:
    """Where nothing could be written nothing was repaired, and what has just been tried is not advised."""
    simulator.regenerate(PUBSUB, "Primary")
    simulator.deny("Microsoft.KeyVault/vaults/secrets/setSecret/action", "kv-orders")

    ran = command("audit", "--repair")

    assert ran.code == 3
    assert "our identity lacks the right to microsoft.keyvault/vaults/secrets/setsecret/action" in ran.words.lower()
    assert "Repaired" not in ran.out
    assert "audit --repair" not in ran.out
    assert ran.out.endswith("3 accounts looked at; 0 repaired, 0 found, 1 failed\n")


def test_what_belongs_to_no_account_is_counted_apart(command: Command, simulator: ControlClient) -> None:
    """A vault that cannot be listed and a secret that names no account are no accounts."""
    simulator.firewall("kv-billing", closed=True)
    simulator.add_secret("kv-orders", name="lost", tags={"active-slot": "key1"})

    ran = command("audit")

    assert ran.code == 3
    assert ran.out.splitlines()[-1].startswith("2 accounts looked at; 0 repaired, 0 found, ")
    assert ran.out.endswith("; 1 secret of no account; 1 vault not listed\n")


def test_what_a_person_has_set_aside_is_shown(command: Command, simulator: ControlClient) -> None:
    """A paused secret is not an error, and not to be forgotten either."""
    simulator.add_account(type="storage", name="stpaused", resource_group="rg-odd")
    paused = managed("paused", "stpaused", "key1", tags={"rotation-policy": "paused=true"})
    simulator.add_secret("kv-orders", **paused)

    ran = command("audit")

    assert ran.code == 0
    assert "leave: paused" in ran.row("stpaused")
