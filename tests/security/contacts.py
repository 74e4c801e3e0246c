"""Who was contacted, by the journal of the simulator, and who may be."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from simulator.client import ControlClient

SIGN_IN = "login.microsoftonline.com"
MANAGEMENT = "management.azure.com"
DATA_PLANES = {
    "storage": "{}.blob.core.windows.net",
    "batch": "{}.westeurope.batch.azure.com",
    "webpubsub": "{}.webpubsub.azure.com",
}


def strangers(simulator: ControlClient, vaults: Iterable[str], accounts: Collection[str] | None = None) -> set[str]:
    """What was asked for outside of these vaults and accounts (None: all of the estate); sign-in is nobody's."""
    known = [account for account in simulator.accounts() if accounts is None or account["name"] in accounts]
    hosts = {
        SIGN_IN,
        MANAGEMENT,
        str(urlsplit(simulator.url).netloc),  # where the managed identity is
        *(f"{vault}.vault.azure.net" for vault in vaults),
        *(DATA_PLANES[account["type"]].format(account["name"]) for account in known),
    }
    resources = tuple(account["id"].lower() for account in known)
    return {
        f"{entry['host']}{entry['path']}"
        for entry in simulator.journal()
        if entry["host"] not in hosts or not _is_about(entry, resources)
    }


def _is_about(entry: Mapping[str, Any], resources: tuple[str, ...]) -> bool:
    """Whether a request to the management host is about one of these resources."""
    path = entry["path"].lower()
    return entry["host"] != MANAGEMENT or any(path == r or path.startswith(f"{r}/") for r in resources)
