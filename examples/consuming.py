"""What the three consumers have in common beyond the pattern: their arguments, their loop and what they print."""

import argparse
import hashlib
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from azure.core.exceptions import AzureError
from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient

from examples.rotating_client import RotatingClient

Client = TypeVar("Client")

PAUSE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Options:
    """Where the secret is, and how many seconds pass until it is read again."""

    secrets: SecretClient
    name: str
    max_age: float


@dataclass(slots=True)
class Tally:
    """What an application has to say for itself; `failures` are requests that failed for good."""

    requests: int = 0
    failures: int = 0


def options(story: str | None, arguments: list[str] | None = None) -> Options:
    """Read the command line: `VAULT/SECRET`, or `https://VAULT.vault.azure.net/SECRET` for any cloud."""
    parser = argparse.ArgumentParser(description=(story or "").partition("\n")[0])
    parser.add_argument("secret", metavar="VAULT/SECRET", help="the secret to read; a vault's URL will do as VAULT")
    parser.add_argument("--max-age", type=float, default=300.0, help="seconds until it is read again (%(default)s)")
    told = parser.parse_args(arguments)
    vault, _, name = told.secret.rpartition("/")
    if not vault:
        parser.error(f"{told.secret!r} is not VAULT/SECRET, for example kv-orders/orders-storage-connection")
    url = vault if vault.startswith("https://") else f"https://{vault}.vault.azure.net"
    return Options(SecretClient(url, DefaultAzureCredential()), name, told.max_age)


def fingerprint(key: str) -> str:
    """The first 12 hex digits of the key's SHA-256, which identify it without giving it away."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def announce(title: str, key: str) -> None:
    """Print which key is in use from now on."""
    print(f"{title}: key {fingerprint(key)}", flush=True)


def consume(
    rotating: RotatingClient[Client], request: Callable[[Client], object], stop: threading.Event, tally: Tally
) -> None:
    """Do the same request again and again until told to stop, and keep the tally."""
    while not stop.wait(PAUSE_SECONDS):
        tally.requests += 1
        try:
            rotating.call(request)
        except AzureError:
            tally.failures += 1


def run(title: str, rotating: RotatingClient[Client], request: Callable[[Client], object]) -> int:
    """Consume until interrupted, print how it went, and return the exit code: 1 if a request failed."""
    stop, tally = threading.Event(), Tally()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    consume(rotating, request, stop, tally)
    print(f"{title}: {tally.requests} requests, {tally.failures} failures, {rotating.repeats} repeated", flush=True)
    return 1 if tally.failures else 0
