"""`make serve` as a person uses it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import emulator
from tests.functions import serve
from tests.functions.harness import OLD, OLD_PYTHON

pytestmark = [
    pytest.mark.skipif(OLD_PYTHON, reason=OLD),
    pytest.mark.skipif(not emulator.installed(), reason="Azurite is not installed"),
]

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0


class Served:
    """The address, and what was printed about it."""

    def __init__(self, explained: str) -> None:
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.here = self._found(r"serve: (http://\S+?),", explained)
        self.azure = self._found(r"curl (http://\S+)/accounts", explained)
        self.event = json.loads(self._found(r"-d '(\{.*\})'\n +the sim", explained))

    def ask(self, path: str, body: object = None, method: str | None = None, **headers: str) -> tuple[int, str]:
        """Do one request; its status and body."""
        data = None if body is None else json.dumps(body).encode()
        url = path if path.startswith("http") else self.here + path
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310  our own URL
        try:
            with self._opener.open(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def slots(self) -> dict[str, str]:
        """The slots that are published, by account."""
        rows: list[dict[str, Any]] = json.loads(self.ask(f"{self.azure}/verdict")[1])
        assert all(row["opens"] for row in rows)
        return {row["account"]: row["slot"] for row in rows}

    def becomes(self, account: str, slot: str) -> None:
        """Wait until the queue has been worked on."""
        deadline = time.monotonic() + PATIENCE
        while self.slots()[account] != slot:
            assert time.monotonic() < deadline
            time.sleep(0.1)

    @staticmethod
    def _found(pattern: str, text: str) -> str:
        match = re.search(pattern, text)
        assert match, text
        return match[1]


@contextmanager
def serving(**settings: str) -> Iterator[Served]:
    """Start it, and interrupt it afterwards as a terminal does."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    environment = {name: value for name, value in os.environ.items() if name != "SIMULATOR_URL"}
    with subprocess.Popen(  # noqa: S603  our own program
        [sys.executable, "-m", "tests.functions.serve", port],
        cwd=ROOT,
        env=environment | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        explained = ""
        try:
            for line in process.stdout:
                explained += line
                if "/accounts" in line:
                    break
            yield Served(explained)
        finally:
            os.killpg(process.pid, signal.SIGINT)
            said = process.stdout.read()
    assert 0 == process.returncode, said
    assert "serve: waiting for what is under way" in said
    assert "Traceback" not in said, said


def test_a_person_can_try_the_whole_app() -> None:
    """HTTP, the timer, an event with its handshakes, and the queue behind them."""
    webhook = "/runtime/webhooks/EventGrid?functionName=near_expiry"
    validation = {
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "one-two"},
    }
    with serving() as served:
        status, body = served.ask("/api/status")
        assert (200, 3) == (status, len(json.loads(body)["accounts"]))
        assert (200, {"validationResponse": "one-two"}) == _parsed(served.ask(webhook, [validation]))
        assert 200 == served.ask(webhook, method="OPTIONS", **{"WebHook-Request-Origin": "eventgrid.azure.net"})[0]
        assert 404 == served.ask("/runtime/webhooks/EventGrid?functionName=sweep", [served.event])[0]
        assert 400 == served.ask(webhook, ["no event", None])[0]

        assert 202 == served.ask(webhook, served.event)[0]
        served.becomes("batchrendering", "Primary")
        assert 202 == served.ask("/admin/functions/sweep", method="POST")[0]
        served.becomes("stcontosoorders", "key2")
        assert 200 == served.ask("/api/rotate/kv-orders/live-connection", {"force": True})[0]
        assert "Secondary" == served.slots()["wps-contoso-live"]
        assert 404 == served.ask("/api/rotate/kv-orders/orders-smtp-password", {})[0]
        assert (404, "") == served.ask("/api/rotate/kv-orders/live-connection")
        assert (404, "") == served.ask("/api/status", method="DELETE")


def test_timers_fire_by_themselves() -> None:
    """A sweep every two seconds finds what is due, and the queue is worked on."""
    with serving(ROTATION_SCHEDULE="*/2 * * * * *") as served:
        served.becomes("stcontosoorders", "key2")


@pytest.mark.parametrize("port", ["http", "0", "65536"])
def test_what_is_no_port_is_told(
    port: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is started."""
    monkeypatch.setattr(sys, "argv", ["serve", port])
    with pytest.raises(SystemExit):
        serve.main()
    assert f"{port!r} is not a port" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told() -> None:
    """With the way out, and nothing is left running."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment = {name: value for name, value in os.environ.items() if name != "SIMULATOR_URL"}
        ran = subprocess.run(  # noqa: S603  our own program
            [sys.executable, "-m", "tests.functions.serve", str(port)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    assert 1 == ran.returncode
    assert f"serve: port {port} is taken; give another one, as in `make serve PORT={port + 1}`" in ran.stderr
    assert "Traceback" not in ran.stderr


def _parsed(answer: tuple[int, str]) -> tuple[int, Any]:
    return answer[0], json.loads(answer[1])
