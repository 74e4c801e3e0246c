"""The estate that all contestants rotate, and the Azure that it is in: a simulator in its own process."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from simulator.running import Running, simulator

CONTROL, VAULT, DATA, SPREAD = 0.150, 0.030, 0.020, 0.3
"""Seconds that the planes take to answer, give or take a share."""

SUBSCRIPTION = "0c0ffee0-5d3a-4f43-9a52-6f1d1b7a7e55"


@contextmanager
def azure(accounts: int, *, kinds: int = 3, vaults: int = 10, due: float = 1.0, **behaviour: Any) -> Iterator[Running]:  # noqa: ANN401  fields of the behaviour
    """Start a simulator with so many accounts of the first `kinds` services; further behaviour as of its control API.

    A Web PubSub operation ends at once: what it takes in Azure is the same for every contestant, and a minute or more.
    """
    with simulator(fleet(accounts, kinds=kinds, vaults=vaults, due=due)) as running:
        latency = {"control": CONTROL, "vault": VAULT, "data": DATA, "spread": SPREAD}
        running.control.behave(**{"operation_seconds": 0, "latency": latency, **behaviour})
        yield running


def fleet(accounts: int, *, kinds: int = 3, vaults: int = 10, due: float = 1.0) -> dict[str, Any]:
    """An estate of that size."""
    services = ("batch", "storage", "webpubsub")[:kinds]
    counts = {service: (accounts + kinds - 1 - place) // kinds for place, service in enumerate(services)}
    return {"generate": {"accounts": counts, "vaults": min(vaults, max(accounts, 1)), "due": due}}


def requests_of(running: Running) -> list[dict[str, Any]]:
    """What was asked of the simulator, signing in aside."""
    journal: list[dict[str, Any]] = running.control.request("GET", "/journal?since=0", timeout=300)
    return [entry for entry in journal if not entry["sign_in"]]
