"""With a lease container, commands and passes in other processes keep out of each other's way."""

import subprocess
import sys

import pytest

from simulator.client import ControlClient
from tests.surface.cli.command import Command
from tests.surface.cli.estates import BATCH, DUE, FRESH, PUBSUB, STORAGE


@pytest.fixture
def leases(azurite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases in the host storage, as the app has them."""
    monkeypatch.setenv("AzureWebJobsStorage", azurite)


@pytest.mark.usefixtures("leases")
def test_a_lease_that_holds_others_off_needs_no_note(command: Command) -> None:
    """The note about in-process leases is for those who have no others."""
    ran = command("rotate", DUE)

    assert ran.code == 0
    assert "in-process" not in ran.out


@pytest.mark.usefixtures("leases")
def test_the_doctor_takes_a_lease(command: Command) -> None:
    """Whether the container is there and may be used is known beforehand."""
    assert "a lease can be taken" in command("doctor").row("✓ leases take")


def test_a_container_out_of_reach_is_found(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens there, so waiting may help and no rotation could begin."""
    monkeypatch.setenv("ROTATION_LEASES", "http://127.0.0.1:9/stlocal/rotation-leases?sig=x")

    ran = command("doctor")

    assert ran.code == 1
    assert ran.row("? leases take").startswith("? leases take cannot take the lease of doctor")


@pytest.mark.usefixtures("leases")
def test_of_two_emergencies_the_second_is_not_told_to_repeat_blindly(
    command: Command, simulator: ControlClient
) -> None:
    """The active key may be the good one of the first by then."""
    fault = simulator.fault(path=f"{PUBSUB}/regenerateKey$", stall=True, times=1)
    simulator.fault(path=f"{BATCH}/regenerateKeys", status=500)
    asked = ("rotate", FRESH, "--compromised", "active", "--grace", "PT0S")
    first = subprocess.Popen([sys.executable, "-m", "rotation", *asked], stdout=subprocess.PIPE)  # noqa: S603  # our own program
    try:
        assert simulator.hits(fault, wait=60) == 1
        alone = command(*asked, "--request-id", "leak-5")
        second = command(*asked, "kv-billing/rendering-key", "--yes", "--request-id", "leak-5")
    finally:
        simulator.lift(fault)
        first.communicate(timeout=60)

    assert (first.returncode, alone.code, second.code) == (0, 1, 1)
    for ran in (alone, second):
        assert "another pass may replace it meanwhile; only while it stands there, repeat the command" in ran.words
        assert "with --request-id leak-5 and the role that stands beside it" in ran.words


@pytest.mark.usefixtures("leases")
def test_an_account_that_another_process_holds_is_left_to_it(command: Command, simulator: ControlClient) -> None:
    """The second command says that another pass is at work, goes on with the other accounts, and exits with 1."""
    fault = simulator.fault(path=f"{STORAGE}/regenerateKey$", stall=True, times=1)
    first = subprocess.Popen([sys.executable, "-m", "rotation", "rotate", DUE], stdout=subprocess.PIPE)  # noqa: S603  # our own program
    try:
        assert simulator.hits(fault, wait=60) == 1
        second = command("rotate", DUE, FRESH)
    finally:
        simulator.lift(fault)
        first.communicate(timeout=60)

    assert (first.returncode, second.code) == (0, 1)
    assert "failed: busy another pass holds" in second.row(STORAGE)
    assert "leave: fresh" in second.row(PUBSUB)
    assert simulator.account(STORAGE)["slots"]["key2"]["regenerated"] == 1
