"""An application on Azure Web PubSub; its secret holds a connection string.

python -m examples.webpubsub_consumer kv-orders/live-connection
"""

import sys

from azure.core.utils import parse_connection_string
from azure.messaging.webpubsubservice import WebPubSubServiceClient

from examples.consuming import announce, options, run
from examples.rotating_client import RotatingClient

HUB = "orders"


def connect(connection_string: str) -> WebPubSubServiceClient:
    """Make a client from what the secret holds; called once per key."""
    announce("webpubsub", parse_connection_string(connection_string)["accesskey"])
    return WebPubSubServiceClient.from_connection_string(connection_string, hub=HUB)


def greet(client: WebPubSubServiceClient) -> None:
    """Do what the application does: send a message to every connection."""
    client.send_to_all({"say": "hello"})


def main() -> int:
    """Greet again and again."""
    told = options(__doc__)
    live = RotatingClient(told.secrets, told.name, connect, max_age=told.max_age)
    return run("webpubsub", live, greet)


if __name__ == "__main__":
    sys.exit(main())
