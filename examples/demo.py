"""Rotates the keys of a simulated estate while three applications read along; told as a story.

    python -m examples.demo

It starts a simulator of its own, or resets and uses the one at SIMULATOR_URL.
"""

import io
import os
import signal
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterable
from urllib.error import URLError

from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.utils import parse_connection_string
from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient
from azure.messaging.webpubsubservice import WebPubSubServiceClient
from azure.storage.blob import BlobServiceClient

from examples.consuming import fingerprint
from examples.processes import Application, Surprise, Tally, applications, rotation
from examples.storage_consumer import list_containers
from examples.webpubsub_consumer import HUB, greet
from simulator.client import ControlClient

FILES, RENDERING, LIVE = (
    "kv-orders/orders-storage-connection",
    "kv-billing/rendering-account",
    "kv-orders/live-connection",
)
OFTEN, USUAL = 2, 300
"""Seconds until an application reads its secret again."""
ACCEPTED_LATE, OPERATION = 1.0, 2.0
"""Seconds until services accept a new key, and until Web PubSub has made one."""
A_WHILE = 1.0
"""Seconds in which an application does some more requests."""
FOREIGN = ("AZURE_", "ROTATION_", "IDENTITY_", "MSI_", "AzureWebJobsStorage")
"""How variables begin that would lead the demo to a real Azure."""
WIDTH = 100
INTERRUPTED, TERMINATED = 130, 143


def main() -> int:
    """Tell the story; 0 when everything happened as expected and no request failed, else 1."""
    if "SIMULATOR_URL" not in os.environ:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        simulated = [sys.executable, "-m", "simulator", "run", "--", sys.executable, "-m", "examples.demo"]
        os.execve(sys.executable, simulated, environment)  # noqa: S606  # this very program, in a simulated Azure
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    try:
        return tell(ControlClient(os.environ["SIMULATOR_URL"]))
    except (Surprise, AzureError, URLError) as surprise:
        print(f"\ndemo: not as expected: {surprise}")
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted")
        return INTERRUPTED


def tell(azure: ControlClient) -> int:
    """Tell the story against a running simulator, which is reset."""
    azure.reset()
    azure.behave(propagation_delay=ACCEPTED_LATE, operation_seconds=OPERATION)
    before = published(azure)
    with applications(("storage", FILES, OFTEN), ("batch", RENDERING, OFTEN), ("webpubsub", LIVE, USUAL)) as (
        files,
        rendering,
        live,
    ):
        meet(files, rendering, live)
        rotate_what_is_due(azure, files, rendering)
        stand_still(azure)
        cut_off_a_leak(live)
        time.sleep(A_WHILE)
        tallies = part(azure, files, rendering, live)
    rotated = sum(slot != before[account] for account, slot in published(azure).items())
    requests, failures = sum(t.requests for t in tallies), sum(t.failures for t in tallies)
    expect(rotated == len(before), f"{rotated} of {len(before)} accounts were rotated")
    print(f"demo: {rotated} accounts rotated, {requests} consumer requests, {failures} failures")
    return 1 if failures else 0


def meet(files: Application, rendering: Application, live: Application) -> None:
    """Show the applications and the plan."""
    chapter(
        "Three applications read their keys from Key Vault",
        "Azure is simulated on this machine, and nothing else is: the SDKs, the signatures, TLS and the command line "
        f"are real. As in Azure, services accept a new key late (here by {ACCEPTED_LATE:g} s) and Web PubSub takes a "
        f"while to make one ({OPERATION:g} s). Keys are shown by their fingerprints only.",
    )
    items(f"{a.service:<10} uses key {a.next_key()} from {a.secret}" for a in (files, rendering, live))
    paragraph(
        f"Applications look again every few minutes; here storage and batch do every {OFTEN} s, so that the demo is "
        f"short, and webpubsub does every {USUAL} s. From now on each does about ten requests per second."
    )
    chapter(
        "What is to be done",
        "An account is the unit: however many secrets publish its key, it is rotated once. A dry run says what would "
        "happen, after a full look at every account.",
    )
    command("plan")


def rotate_what_is_due(azure: ControlClient, files: Application, rendering: Application) -> None:
    """Rotate, and show that old and new key both work."""
    old = value(FILES)
    chapter(
        "Rotate what is due",
        "The idle key is made anew, tried on the service until it is accepted, and only then published to every secret "
        "of the account. The key that applications still have in memory is not touched. (The note about leases is "
        "for this command line; in Azure a lease keeps the app and operators apart.)",
    )
    command("rotate", "--due")
    paragraph("The applications come across the new keys by themselves:")
    items(f"{a.service:<10} uses key {a.next_key()}" for a in (files, rendering))
    new = value(FILES)
    paragraph("Meanwhile both keys are good:")
    items(
        (
            f"Storage answers to the old key {name(old)}: {says(files_answer(old), 'accepted')}",
            f"Storage answers to the new key {name(new)}: {says(files_answer(new), 'accepted')}",
        )
    )
    expect(old != new, "the storage key was not replaced")
    expect(regenerates(azure) == {"stcontosoorders": 1, "batchrendering": 1}, "not one key was made per account")


def stand_still(azure: ControlClient) -> None:
    """Show the status, and that doing it again does nothing."""
    chapter("How things stand", "The slots have changed, the ages start anew, and the previous keys are promised.")
    command("status")
    before = regenerates(azure)
    chapter("Do it again", "A sweep comes every quarter of an hour, and a repeated one finds nothing to do.")
    command("rotate", "--due")
    expect(regenerates(azure) == before, "the repeated sweep made a key")
    paragraph(f"Azure's own journal agrees: it made {sum(before.values())} keys before this command, and none since.")


def cut_off_a_leak(live: Application) -> None:
    """Declare the Web PubSub key compromised, and show that it is dead."""
    leaked = value(LIVE)
    chapter(
        "A key has leaked",
        f"The Web PubSub key {name(leaked)} was found in a public place. It is replaced and, with a grace of nothing, "
        "stops working at once, whatever was promised; the answer says so.",
    )
    command("rotate", LIVE, "--compromised", "active", "--grace", "PT0S")
    paragraph("The application was refused, read its secret at once and repeated the request:")
    items([f"{live.service:<10} uses key {live.next_key()}"])
    new = value(LIVE)
    paragraph("Whoever found the leaked key is too late:")
    items(
        (
            f"Web PubSub answers to the leaked key {name(leaked)}: {says(live_answer(leaked), 'refused with 401')}",
            f"Web PubSub answers to the new key {name(new)}: {says(live_answer(new), 'accepted')}",
        )
    )


def part(azure: ControlClient, *cast: Application) -> list[Tally]:
    """Ask the applications how it was, and Azure how many keys it made."""
    chapter(
        "How it was for the applications",
        "Repeated is a request that was refused and then succeeded with the key read at once after that. Ordinary "
        "rotation causes none; the leak caused one.",
    )
    tallies = [application.stop() for application in cast]
    items(
        f"{a.service:<10} {t.requests} requests, {t.failures} failures, {t.repeated} repeated"
        for a, t in zip(cast, tallies, strict=True)
    )
    made = regenerates(azure)
    paragraph(
        f"Azure made {sum(made.values())} keys in all: "
        + ", ".join(f"{count} for {account}" for account, count in made.items())
        + " (the second one took the place of the leaked key)."
    )
    expect([t.repeated for t in tallies] == [0, 0, 1], "the repeats are not the leak's alone")
    expect(made == {"stcontosoorders": 1, "batchrendering": 1, "wps-contoso-live": 2}, "keys were made in vain")
    expect(all(row["opens"] for row in azure.verdict()), "a published key does not open its account")
    return tallies


def chapter(title: str, text: str) -> None:
    """Begin the next part of the story."""
    print(f"{title}\n{'=' * len(title)}\n")
    paragraph(text)


def paragraph(text: str) -> None:
    """Print a few sentences."""
    print(textwrap.fill(text, WIDTH) + "\n")


def items(lines: Iterable[str]) -> None:
    """Print one thing per line, as soon as it is known."""
    for line in lines:
        print(f"  {line}")
    print()


def command(*arguments: str) -> None:
    """Run the operator's command line for everybody to see."""
    print(f"$ python -m rotation {' '.join(arguments)}")
    print(rotation(*arguments) + "\n")


def value(secret: str) -> str:
    """What a secret holds now."""
    vault, _, title = secret.partition("/")
    secrets = SecretClient(f"https://{vault}.vault.azure.net", DefaultAzureCredential())
    return secrets.get_secret(title).value or ""


def name(connection_string: str) -> str:
    """The fingerprint of the key in a connection string."""
    parts = parse_connection_string(connection_string)
    return fingerprint(parts.get("accountkey") or parts["accesskey"])


def files_answer(connection_string: str) -> str:
    """What Storage says to a request that is signed with this key."""
    return answer(lambda: list_containers(BlobServiceClient.from_connection_string(connection_string)))


def live_answer(connection_string: str) -> str:
    """What Web PubSub says to a request that is signed with this key."""
    return answer(lambda: greet(WebPubSubServiceClient.from_connection_string(connection_string, hub=HUB)))


def answer(request: Callable[[], object]) -> str:
    """Do a request: accepted or refused."""
    try:
        request()
    except HttpResponseError as error:
        return f"refused with {error.status_code}"
    return "accepted"


def says(heard: str, expected: str) -> str:
    """What was heard, which has to be what was expected."""
    expect(heard == expected, f"the service {heard} where it should have {expected}")
    return heard


def expect(fact: bool, otherwise: str) -> None:  # noqa: FBT001  # reads as a sentence
    """End the story where it does not hold."""
    if not fact:
        raise Surprise(otherwise)


def published(azure: ControlClient) -> dict[str, str]:
    """The slot that each account's secrets hold."""
    return {row["account"]: row["slot"] for row in azure.verdict()}


def regenerates(azure: ControlClient) -> Counter[str]:
    """How many keys Azure was asked to make, by account, as its journal has it."""
    return Counter(
        entry["path"].split("/")[-2] for entry in azure.journal() if "/regeneratekey" in entry["path"].lower()
    )


if __name__ == "__main__":
    sys.exit(main())
