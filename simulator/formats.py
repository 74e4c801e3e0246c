"""The forms in which an application reads a key."""

import json

from simulator.accounts import BATCH, WEBPUBSUB, Account

FORMATS = ("key", "connection-string", "json")


def formatted(account: Account, slot: str, form: str) -> str:
    """The key of a slot in one of FORMATS; raises ValueError for a form that the service does not have."""
    key = account.slots[slot].now.value
    match form:
        case "key":
            return key
        case "connection-string":
            return connection_string(account, key)
        case "json":
            return json.dumps({"account": account.name, "endpoint": f"https://{account.host}", "key": key})
    raise ValueError(f"has to be one of {', '.join(FORMATS)}")


def connection_string(account: Account, key: str) -> str:
    """The connection string as the portal shows it; Batch has none, which is a ValueError."""
    if account.kind is BATCH:
        raise ValueError("Batch has no connection string")
    if account.kind is WEBPUBSUB:
        return f"Endpoint=https://{account.host};AccessKey={key};Version=1.0;"
    return (
        f"DefaultEndpointsProtocol=https;AccountName={account.name};AccountKey={key};"
        f"EndpointSuffix={account.cloud.storage}"
    )
