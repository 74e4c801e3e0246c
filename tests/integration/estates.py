"""Small estates for tests: one account, due, published in one or three secrets."""

from typing import Any

SLOTS = {"storage": ("key1", "key2"), "batch": ("Primary", "Secondary"), "webpubsub": ("Primary", "Secondary")}
NAMES = {"storage": "stone", "batch": "batchone", "webpubsub": "wps-one"}
FORMATS = {
    "storage": ("key", "connection-string", "json"),
    "batch": ("json", "key", "json"),
    "webpubsub": ("connection-string", "key", "json"),
}
SERVICES = tuple(SLOTS)


def publication(service: str, name: str, form: str, **told: Any) -> dict[str, Any]:
    """A secret that holds the first slot's key and is due unless told otherwise."""
    tags = {"resource-id": "{id}", "active-slot": "{slot}", "validity-days": "90", "owner": "team-one"}
    if form != "key":
        tags["rotation-policy"] = f"format={form}"
    return {
        "name": name,
        "account": NAMES[service],
        "slot": SLOTS[service][0],
        "format": form,
        "content_type": "text/x-test",
        "created": "P75D",
        "expires": "P15D",
        **told,
        "tags": {**tags, **told.get("tags", {})},
    }


def one_account(service: str, publications: int = 1, **told: Any) -> dict[str, Any]:
    """One account of a service with one publication, or with three in three forms over two vaults."""
    secrets = [publication(service, f"secret-{n}", FORMATS[service][n], **told) for n in range(publications)]
    return {
        "accounts": [{"type": service, "name": NAMES[service], "resource_group": "rg-one"}],
        "vaults": [
            {"name": "kv-one", "resource_group": "rg-one", "secrets": secrets[:2]},
            *([{"name": "kv-two", "resource_group": "rg-one", "secrets": secrets[2:]}] if publications > 2 else []),
        ],
    }
