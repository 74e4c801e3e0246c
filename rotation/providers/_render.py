"""The form of a published value that all services have in common."""

import json

from rotation.model import Sensitive
from rotation.ports import Description


def as_json(description: Description, key: Sensitive) -> Sensitive:
    """Everything that an application needs to connect, as a compact object."""
    content = {
        "account": description.account.name,
        "endpoint": description.endpoint,
        "key": key.reveal(),
    }
    return Sensitive(json.dumps(content, separators=(",", ":")))
