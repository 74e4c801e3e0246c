"""Which role to assign where a right is missing."""

_ROLES = (
    ("microsoft.keyvault/vaults/secrets/", "Key rotation of secrets", "Key Vault Secrets Officer"),
    ("microsoft.storage/storageaccounts/read", "Key rotation of Storage", "Reader"),
    ("microsoft.storage/storageaccounts/", "Key rotation of Storage", "Storage Account Key Operator Service Role"),
    ("microsoft.batch/", "Key rotation of Batch", "Azure Batch Account Contributor"),
    (
        "microsoft.signalrservice/locations/",
        "Key rotation of Web PubSub, its operations",
        "SignalR/Web PubSub Contributor",
    ),
    ("microsoft.signalrservice/", "Key rotation of Web PubSub", "SignalR/Web PubSub Contributor"),
)
"""By how an action begins: how the custom role of infra/ begins that grants it, and the narrowest built-in one."""


def advice(action: str) -> str:
    """Say which role to assign for an action: first one that grants nothing beyond what rotation needs."""
    return "assign a role with it" + next((_such_as(*roles) for start, *roles in _ROLES if _begins(action, start)), "")


def _begins(action: str, start: str) -> bool:
    return action.lower().startswith(start)


def _such_as(ours: str, built_in: str) -> str:
    return (
        f", such as {ours!r} of the templates (`azd provision --no-state` restores the app's), "
        f"or the built-in {built_in!r}, which grants more"
    )
