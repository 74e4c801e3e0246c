"""Whoever is contacted is seen: what the other tests say of strangers would be worth nothing otherwise."""

from contextlib import suppress

import pytest
import requests

from simulator.client import ControlClient
from tests.security.contacts import strangers

MANAGEMENT = "https://management.azure.com/subscriptions/0c0ffee0-5d3a-4f43-9a52-6f1d1b7a7e55/resourceGroups/rg"


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/secrets",
        "https://kv-orders.evil.example/secrets",
        "https://kv-other.vault.azure.net/secrets",
        "https://stother.blob.core.windows.net/",
        f"{MANAGEMENT}/providers/Microsoft.Storage/storageAccounts/stother/listKeys",
        "https://management.azure.com/subscriptions",
    ],
)
def test_a_stranger_is_seen(simulator: ControlClient, address: str) -> None:
    """Hosts that nobody simulates, other vaults, other accounts, and the management of something else."""
    with suppress(requests.ConnectionError):
        requests.get(address, timeout=60)

    (seen,) = strangers(simulator, ["kv-orders", "kv-billing"])
    assert address.removeprefix("https://").startswith(seen.rstrip("/"))


def test_who_is_allowed_is_no_stranger(simulator: ControlClient) -> None:
    """A vault of the settings, and an account of the estate."""
    account = simulator.accounts()[0]
    requests.get("https://kv-orders.vault.azure.net/secrets", timeout=60)
    requests.get(f"https://management.azure.com{account['id']}", timeout=60)

    assert 2 == len(simulator.journal())
    assert set() == strangers(simulator, ["kv-orders", "kv-billing"])
