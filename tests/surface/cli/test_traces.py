"""Traces of the command line: all have been sent when it ends, and nobody waits for a collector that is not there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.client import ControlClient
from tests.collector import OURS, Collector
from tests.surface.cli.estates import BATCH, DUE, STORAGE
from tests.surface.leaks import leaked

ROOT = Path(__file__).parents[3]
SETTINGS = {"ROTATION_VAULTS": "kv-orders,kv-billing"}
FOREVER = {"OTEL_EXPORTER_OTLP_TIMEOUT": "3600", "OTEL_BSP_SCHEDULE_DELAY": "3600000"}
"""Who waited for the library's own patience would wait for an hour."""


@pytest.fixture(autouse=True)
def estate(simulator: ControlClient) -> None:
    """The default estate."""
    del simulator


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, as the variables are heeded once in each."""
    return subprocess.run(  # noqa: S603  our own program
        [sys.executable, "-m", "rotation", *arguments],
        cwd=ROOT,
        env={**os.environ, **SETTINGS, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_command_and_its_accounts_are_told_before_it_ends(simulator: ControlClient, traces: Collector) -> None:
    """One trace: the command above its accounts, and those above the requests that were sent for them."""
    simulator.clear_journal()
    ran = run("rotate", "--due", "--json", **traces.environment, **FOREVER)
    spans = traces.spans()
    (command,) = [span for span in spans if span.name == "rotation.rotate"]
    attempts = [span for span in spans if span.name == "rotation.attempt"]

    assert (0, "", "") == (ran.returncode, ran.stderr, command.parent)
    assert {command.trace} == {span.trace for span in spans}
    assert [command.id] * 2 == [attempt.parent for attempt in attempts]
    assert {(a["account"], a["status"]) for a in json.loads(ran.stdout)["accounts"] if a["status"] != "left"} == {
        (attempt.attributes["rotation.account"], attempt.attributes["rotation.status"]) for attempt in attempts
    }
    assert len(simulator.journal()) == sum(span.request for span in spans)
    assert [] == leaked(b"\n".join(traces.bodies).decode(errors="replace"), simulator.keys())


def test_an_account_that_fails_is_told_as_such(simulator: ControlClient, traces: Collector) -> None:
    """Its span is marked, and not that of the others."""
    simulator.change_account(BATCH, locked=True)
    ran = run("plan", "--json", **traces.environment)
    failed = {
        span.attributes["rotation.account"].rpartition("/")[2]: span.failed
        for span in traces.spans()
        if span.name == "rotation.attempt"
    }

    assert 3 == ran.returncode
    assert (True, False) == (failed[BATCH], failed[STORAGE])


def test_what_ends_a_command_early_is_told_by_our_own_code(traces: Collector) -> None:
    """The command's span has the code and the message that the command answers with."""
    ran = run("status", "kv-orders/nothing", "--json", **traces.environment)
    (command,) = [span for span in traces.spans() if span.scope == OURS]

    error = json.loads(ran.stdout)["error"]
    assert ("rotation.status", True) == (command.name, command.failed)
    assert f"{error['code']}: {error['message']}" == command.why


def test_a_collector_that_never_answers_is_not_waited_for(traces: Collector) -> None:
    """The keys are rotated, the answer is complete, and one line beside it says what is missing."""
    traces.listening.clear()
    ran = run("rotate", DUE, "--json", **traces.environment, **FOREVER)

    assert 0 == ran.returncode
    assert {"changed": 1} == json.loads(ran.stdout)["counts"]
    assert ran.stderr.startswith("the collector at OTEL_EXPORTER_OTLP_ENDPOINT does not take our traces")
    assert 1 == ran.stderr.count("\n")


@pytest.mark.parametrize("on", [False, True])
def test_opentelemetry_is_imported_only_when_it_is_asked_for(traces: Collector, *, on: bool) -> None:
    """Most operators have no collector, and do not wait for its library."""
    ran = run("status", PYTHONPROFILEIMPORTTIME="1", **(traces.environment if on else {}))

    assert 0 == ran.returncode
    assert on == ("opentelemetry.sdk" in ran.stderr)
    assert on == ("google.protobuf" in ran.stderr)
