"""A pass that is killed at any request leaves a world that works, and the next pass finishes the job."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from azure.identity import ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient

from simulator.client import ControlClient
from tests.integration import killable
from tests.integration.estates import SERVICES, SLOTS, one_account
from tests.surface.leaks import leaked

PASS = ["rotate", "--due", "--json"]
FEWEST = {1: 24, 3: 42}
"""How often a pass is killed at least, by the number of publications."""


def requests(simulator: ControlClient) -> int:
    """How many requests a pass made, but for a vault's challenge, after which the same request comes again."""
    return sum(not (entry["sign_in"] and ".vault." in entry["host"]) for entry in simulator.journal())


def versions(estate: dict[str, Any]) -> Counter[str]:
    """How many versions each secret has, asked of the vaults themselves."""
    found: Counter[str] = Counter()
    with ManagedIdentityCredential() as credential:
        for vault in estate["vaults"]:
            with SecretClient(f"https://{vault['name']}.vault.azure.net", credential) as client:
                for secret in vault["secrets"]:
                    listed = client.list_properties_of_secret_versions(secret["name"])
                    found[f"{vault['name']}/{secret['name']}"] = sum(1 for _ in listed)
    return found


def working(simulator: ControlClient) -> set[str]:
    """The slots that are published, after checking that every published key opens its account."""
    rows = simulator.verdict()
    assert rows
    assert [] == [row for row in rows if not row["opens"]]
    return {row["slot"] for row in rows}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("publications", [1, 3])
@pytest.mark.parametrize("service", SERVICES)
def test_a_pass_killed_at_any_request_is_finished_by_the_next(
    simulator: ControlClient, service: str, publications: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before and after each request took effect: published keys work throughout, the next pass ends the same.

    At most one version more than an uninterrupted pass would have written.
    """
    estate = one_account(service, publications)
    monkeypatch.setenv("ROTATION_VAULTS", ",".join(vault["name"] for vault in estate["vaults"]))
    output = tmp_path / "output"
    simulator.reset(estate)
    assert killable.run(PASS, output) == 0, output.read_text()
    points = [(n, when) for n in range(requests(simulator)) for when in ("before", "after")]
    assert len(points) >= FEWEST[publications]
    uninterrupted = versions(estate)

    unmet = []
    for n, when in points:
        simulator.reset(estate)
        if not kill_at(simulator, n, when, output):
            unmet.append((n, when))
        working(simulator)
        assert killable.run(PASS, output) == 0, (n, when, output.read_text())
        assert {SLOTS[service][1]} == working(simulator), (n, when)
        extra = versions(estate) - uninterrupted
        assert extra.total() <= 1, (n, when, extra)

    assert [] == leaked(output.read_text(), simulator.keys())
    assert [] == unmet, [(e["n"], e["method"], e["path"], e["status"]) for e in simulator.journal()]


@pytest.mark.timeout(900)
def test_an_emergency_killed_at_any_request_is_finished_by_its_repetition(
    simulator: ControlClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command with the same id ends the leaked key, wherever the first one was killed."""
    estate = one_account("storage", publications=3)
    emergency = ["rotate", "kv-one/secret-0", "--compromised", "active", "--grace", "PT0S", "--request-id", "INC-1"]
    monkeypatch.setenv("ROTATION_VAULTS", ",".join(vault["name"] for vault in estate["vaults"]))
    output = tmp_path / "output"
    simulator.reset(estate)
    assert killable.run(emergency, output) == 0, output.read_text()

    for n in range(requests(simulator)):
        for when in ("before", "after"):
            simulator.reset(estate)
            leaked = simulator.account("stone")["slots"]["key1"]["fingerprint"]
            assert kill_at(simulator, n, when, output, emergency), (n, when)
            working(simulator)
            assert killable.run(emergency, output) == 0, (n, when, output.read_text())
            left = {slot["fingerprint"] for slot in simulator.account("stone")["slots"].values()}
            assert leaked not in left, (n, when)
            assert len(working(simulator)) == 1, (n, when)


def kill_at(simulator: ControlClient, n: int, when: str, output: Path, command: list[str] | None = None) -> bool:
    """Start a pass, kill it with SIGKILL at its request number `n`, and tell whether it got there."""
    fault = simulator.fault(host=".", path=".", skip=n, times=1, when=when, stall=True)
    process = killable.start(command or PASS, output)
    hit = False
    while not hit and process.is_alive():
        hit = simulator.hits(fault, wait=0.2) > 0
    process.kill()
    process.join()
    simulator.lift(fault)
    return hit
