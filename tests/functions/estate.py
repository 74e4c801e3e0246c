"""The estate of these tests: one account and the two vaults that the app is allowed."""

from typing import Any

from tests.integration.estates import one_account

VAULTS = ("kv-one", "kv-two")
SETTINGS = {
    "ROTATION_VAULTS": ",".join(VAULTS),
    "ROTATION_SCHEDULE": "0 */15 * * * *",
    "ROTATION_AUDIT_SCHEDULE": "0 17 3 * * *",
}


def estate(service: str = "storage", publications: int = 1, **told: Any) -> dict[str, Any]:
    """One account, due unless told otherwise; a vault that could not be listed would forbid to regenerate."""
    found = one_account(service, publications, **told)
    missing = set(VAULTS) - {vault["name"] for vault in found["vaults"]}
    empty = [{"name": name, "resource_group": "rg-one", "secrets": []} for name in missing]
    return {**found, "vaults": [*found["vaults"], *empty]}
