"""What the tests of the engine share."""

import pytest


@pytest.fixture
def host_storage(azurite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The storage of the Functions host: an app does not work without a place for its leases."""
    from tests.functions import leases  # noqa: PLC0415  it imports aiohttp, for which the simulator has to run first

    leases.forget(azurite)
    monkeypatch.setenv("AzureWebJobsStorage", azurite)
