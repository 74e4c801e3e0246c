"""Which role to assign where a right is missing."""

_KEY_OPERATOR = "Storage Account Key Operator Service Role"

_ROLES = (
    ("microsoft.keyvault/vaults/secrets/", "Key rotation of secrets", "Key Vault Secrets Officer"),
    ("microsoft.storage/storageaccounts/read", "Key rotation of Storage", "Reader"),
    ("microsoft.storage/storageaccounts/listkeys/", "Key rotation of Storage", _KEY_OPERATOR),
    ("microsoft.storage/storageaccounts/regeneratekey/", "Key rotation of Storage", _KEY_OPERATOR),
    ("microsoft.batch/", "Key rotation of Batch", "Azure Batch Account Contributor"),
    (
        "microsoft.signalrservice/locations/",
        "Key rotation of Web PubSub, its operations",
        "SignalR/Web PubSub Contributor",
    ),
    ("microsoft.signalrservice/webpubsub/", "Key rotation of Web PubSub", "SignalR/Web PubSub Contributor"),
)
"""By how an action begins: how the custom role of infra/ begins that grants it, and the narrowest built-in one."""


def advice(*actions: str) -> str:
    """Say which role to assign for actions on one thing: first one that grants nothing beyond what rotation needs."""
    granting = [roles for action in actions for start, *roles in _ROLES if action.lower().startswith(start)]
    such_as = ""
    if granting:
        ours, built_in = (" and ".join(map(repr, dict.fromkeys(names))) for names in zip(*granting, strict=True))
        such_as = (
            f", such as {ours} of the templates (`azd provision --no-state` restores the app's), "
            f"or the built-in {built_in}, which grants more"
        )
    return f"assign a role with {'it' if len(actions) == 1 else 'them'}{such_as}"
