"""The examples, while keys are rotated under them by the engine as it is wired for production."""

import asyncio
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient
from azure.storage.blob import BlobServiceClient

from examples import batch_consumer, storage_consumer, webpubsub_consumer
from examples.consuming import Tally, consume
from examples.rotating_client import RotatingClient
from rotation.model import Request, Role, Trigger
from simulator.client import ControlClient
from tests.integration.engine import bench
from tests.integration.estates import NAMES, SERVICES, SLOTS, publication

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0
SOON, NEVER = 0.2, 3600.0
"""Seconds until a secret is read again."""
EMERGENCY = Request(Trigger.OPERATOR, compromised=Role.ACTIVE, grace=timedelta(0))


@dataclass(frozen=True, slots=True)
class Example:
    """A consumer, what it asks its service, and the form in which its secret holds the key."""

    module: ModuleType
    request: Callable[[Any], object]
    form: str


EXAMPLES = {
    "storage": Example(storage_consumer, storage_consumer.list_containers, "connection-string"),
    "batch": Example(batch_consumer, batch_consumer.list_pools, "json"),
    "webpubsub": Example(webpubsub_consumer, webpubsub_consumer.greet, "connection-string"),
}


def estate(service: str) -> dict[str, Any]:
    """One account that is due, published in the secret that the service's consumer reads."""
    return {
        "accounts": [{"type": service, "name": NAMES[service], "resource_group": "rg-one"}],
        "vaults": [
            {
                "name": "kv-one",
                "resource_group": "rg-one",
                "secrets": [publication(service, "app", EXAMPLES[service].form)],
            }
        ],
    }


@dataclass(slots=True)
class Application:
    """A consumer of one service, with what it has read."""

    service: str
    max_age: float = NEVER
    patience: float = NEVER
    values: list[str] = field(default_factory=list)
    """Every value that it made a client from."""
    tally: Tally = field(default_factory=Tally)
    rotating: RotatingClient[Any] = field(init=False)

    def __post_init__(self) -> None:
        secrets = SecretClient("https://kv-one.vault.azure.net", DefaultAzureCredential())
        self.rotating = RotatingClient(secrets, "app", self._connect, max_age=self.max_age, patience=self.patience)

    def _connect(self, value: str) -> object:
        self.values.append(value)
        return EXAMPLES[self.service].module.connect(value)

    def ask(self) -> object:
        """Do one request."""
        return self.rotating.call(EXAMPLES[self.service].request)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Do requests all the time while inside, in a thread."""
        stop = threading.Event()
        arguments = (self.rotating, EXAMPLES[self.service].request, stop, self.tally)
        thread = threading.Thread(target=consume, args=arguments)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    async def has(self, fact: Callable[[], bool]) -> None:
        """Wait until something has happened to it."""
        async with asyncio.timeout(PATIENCE):
            while not fact():  # noqa: ASYNC110  # a thread makes it true
                await asyncio.sleep(0.02)

    async def has_asked(self, times: int) -> None:
        """Wait until it has done that many more requests."""
        goal = self.tally.requests + times
        await self.has(lambda: self.tally.requests >= goal)


def readings(simulator: ControlClient) -> int:
    """How often the secret was read since the journal was cleared."""
    return sum(
        entry["host"].startswith("kv-one.") and entry["path"].startswith("/secrets/app") and not entry["sign_in"]
        for entry in simulator.journal()
    )


@pytest.mark.parametrize("service", SERVICES)
async def test_no_request_fails_or_is_repeated_while_a_key_is_rotated(service: str, simulator: ControlClient) -> None:
    """Ordinary rotation leaves the key that applications have in memory alone, and they find the new one later."""
    simulator.reset(estate(service))
    simulator.behave(propagation_delay=0.5)
    app = Application(service, max_age=SOON)
    async with bench(estate(service)) as engine:
        with app.asking():
            await app.has_asked(3)
            report = await engine.rotate()
            await app.has(lambda: len(app.values) == 2)
            await app.has_asked(3)

    assert {"changed": 1} == report.counts()
    assert 0 == app.tally.failures
    assert 0 == app.rotating.repeats
    assert [SLOTS[service][1]] == [row["slot"] for row in simulator.verdict()]


@pytest.mark.parametrize("service", SERVICES)
async def test_a_compromised_key_costs_one_repeat_and_no_failure(service: str, simulator: ControlClient) -> None:
    """Whoever is refused reads the secret again at once, long before its age would make it."""
    simulator.reset(estate(service))
    app = Application(service)
    async with bench(estate(service)) as engine:
        with app.asking():
            await app.has_asked(3)
            report = await engine.rotate(EMERGENCY)
            await app.has(lambda: len(app.values) == 2)
            await app.has_asked(3)

    assert 2 == len(report.outcomes[0].steps), "rotated and retired"
    assert 0 == app.tally.failures
    assert 1 == app.rotating.repeats


async def test_threads_that_are_refused_together_read_the_secret_once(simulator: ControlClient) -> None:
    """The first of them finds the new key for all; each repeats its own request."""
    simulator.reset(estate("storage"))
    app = Application("storage")
    async with bench(estate("storage")) as engine:
        await engine.rotate(EMERGENCY)
    simulator.clear_journal()
    together = threading.Barrier(8, timeout=PATIENCE)
    attempts = itertools.count()

    def request(client: Any) -> object:
        if next(attempts) < 8:
            together.wait()
        return storage_consumer.list_containers(client)

    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(app.rotating.call, request) for _ in range(8)]

    assert [[]] * 8 == [answer.result() for answer in answers]
    assert 8 == app.rotating.repeats
    assert 1 == readings(simulator)


@pytest.mark.parametrize("service", SERVICES)
def test_a_missing_permission_does_not_hammer_the_vault(service: str, simulator: ControlClient) -> None:
    """A refusal that reading again does not cure causes one reading, and none for a while after."""
    simulator.reset(estate(service))
    app = Application(service)
    simulator.change_account(NAMES[service], shared_keys=False)
    simulator.clear_journal()

    for _ in range(20):
        with pytest.raises(HttpResponseError) as refusal:
            app.ask()
        assert refusal.value.status_code in (401, 403)

    assert 1 == readings(simulator)
    assert 0 == app.rotating.repeats


def test_after_a_while_a_refusal_causes_another_reading(simulator: ControlClient) -> None:
    """The guard is a pause and not an end: the key that cures the refusal may be published later."""
    simulator.reset(estate("batch"))
    app = Application("batch", patience=0.1)
    simulator.change_account(NAMES["batch"], shared_keys=False)
    simulator.clear_journal()

    for _ in range(2):
        with pytest.raises(HttpResponseError):
            app.ask()
        time.sleep(0.15)

    assert 2 == readings(simulator)


def test_the_secret_is_not_read_again_before_its_age(simulator: ControlClient) -> None:
    """Key Vault allows a vault's readers a few thousand requests in ten seconds, all applications together."""
    simulator.reset(estate("storage"))
    app = Application("storage")

    for _ in range(50):
        app.ask()

    assert 1 == readings(simulator)


def test_an_unchanged_secret_is_read_at_its_age_and_the_client_is_kept(simulator: ControlClient) -> None:
    """Reading again costs one request to the vault; a new client would cost a connection too."""
    simulator.reset(estate("storage"))
    started = time.monotonic()
    app = Application("storage", max_age=SOON)

    while time.monotonic() - started < 4 * SOON:
        app.ask()

    elapsed = time.monotonic() - started
    assert 3 <= readings(simulator) <= 1 + elapsed / SOON
    assert 1 == len(app.values)


def test_a_vault_out_of_reach_does_not_stop_the_application(
    simulator: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The key in memory goes on working; the warning names the secret and no key."""
    simulator.reset(estate("storage"))
    app = Application("storage", max_age=0)
    simulator.firewall("kv-one", closed=True)

    assert [] == app.ask()
    assert "app could not be read again" in caplog.text
    keys = simulator.keys()
    assert [] == [key for key in keys if key in caplog.text]


@pytest.mark.parametrize("service", SERVICES)
def test_a_value_that_makes_no_client_does_not_stop_the_application(
    service: str, simulator: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A hand that slips in the vault is a warning, without the value, and tried again until it is put right."""
    simulator.reset(estate(service))
    app = Application(service, max_age=0)
    vault = SecretClient("https://kv-one.vault.azure.net", DefaultAzureCredential())
    (good,) = app.values

    vault.set_secret("app", "pasted-by-mistake")
    app.ask()
    app.ask()
    vault.set_secret("app", good)
    app.ask()

    assert [good, "pasted-by-mistake", "pasted-by-mistake"] == app.values
    assert "app holds a new value that makes no client: " in caplog.text
    assert "pasted-by-mistake" not in caplog.text


def test_what_is_no_refusal_is_not_repeated(simulator: ControlClient) -> None:
    """A missing container has nothing to do with the key."""
    simulator.reset(estate("storage"))
    app = Application("storage")

    with pytest.raises(ResourceNotFoundError):
        app.rotating.call(lambda client: client.get_container_client("absent").get_container_properties())

    assert 1 == readings(simulator)
    assert 0 == app.rotating.repeats


@pytest.mark.usefixtures("simulator")
def test_the_example_in_the_documentation_runs() -> None:
    """What is copied from the page has to work as it stands."""
    page = (ROOT / "docs/reading-keys.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {each.__name__: each for each in (RotatingClient, SecretClient, DefaultAzureCredential, BlobServiceClient)}

    found: dict[str, Any] = {}
    exec(example, names, found)  # noqa: S102  # our own page

    assert [] == found["names"]
    assert "stcontosoorders" == found["blobs"].call(lambda client: client.account_name)


@pytest.mark.parametrize(("shared_keys", "code"), [(True, 0), (False, 1)], ids=["served", "refused"])
def test_a_program_tells_its_key_and_its_tally_when_interrupted(
    simulator: ControlClient, *, shared_keys: bool, code: int
) -> None:
    """What an operator sees of it: a fingerprint that is the one in the reports, and an exit code."""
    simulator.reset(estate("batch"))
    simulator.change_account(NAMES["batch"], shared_keys=shared_keys)
    command = [sys.executable, "-m", "examples.batch_consumer", "https://kv-one.vault.azure.net/app"]

    with subprocess.Popen(  # noqa: S603  # our own program
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        while not any(".batch." in entry["host"] for entry in simulator.journal()):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()

    key = simulator.account(NAMES["batch"])["slots"]["Primary"]["fingerprint"]
    assert f"batch: key {key}\n" == first
    requests, failures = re.fullmatch(r"batch: (\d+) requests, (\d+) failures, 0 repeated\n", rest).groups()  # type: ignore[union-attr]  # no match fails the test
    assert int(requests) > 0
    assert failures == ("0" if shared_keys else requests)
    assert code == process.returncode


def test_a_program_without_a_secret_says_how_to_name_one() -> None:
    """A usage error ends with code 2 and an example."""
    done = subprocess.run(
        [sys.executable, "-m", "examples.storage_consumer", "orders"],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 2 == done.returncode
    assert "'orders' is not VAULT/SECRET" in done.stderr
