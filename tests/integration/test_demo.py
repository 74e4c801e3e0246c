"""The demo as a person runs it: a program with an output and an exit code."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.client import ControlClient

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "examples.demo"]


def test_the_demo_tells_its_story_without_a_failure_or_a_key(simulator: ControlClient) -> None:
    """It ends with its numbers, and no key that ever existed is in what it printed."""
    done = subprocess.run(  # noqa: S603  # our own program
        COMMAND, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )

    assert 0 == done.returncode, done.stdout
    assert re.fullmatch(r"demo: 3 accounts rotated, \d{3,} consumer requests, 0 failures", done.stdout.splitlines()[-1])
    assert "refused with 401" in done.stdout
    assert "Traceback" not in done.stdout
    keys = simulator.keys()
    assert len(keys) >= 10, "six keys of the estate and four that were made"
    assert [] == [key for key in keys if key in done.stdout]


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM], ids=["interrupted", "terminated"])
def test_the_demo_starts_a_simulator_of_its_own_and_leaves_nothing_behind(told: signal.Signals) -> None:
    """Interrupted in the middle, it says so; everything that it started is gone when its output ends."""
    environment = {name: value for name, value in os.environ.items() if name != "SIMULATOR_URL"}
    with subprocess.Popen(  # noqa: S603  # our own program
        COMMAND,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        heard = [next(line for line in process.stdout if "uses key" in line)]
        if told is signal.SIGINT:
            os.killpg(process.pid, told)  # as a terminal does
        else:
            process.send_signal(told)
        heard += process.stdout.readlines()

    assert 128 + told == process.returncode
    assert "Traceback" not in "".join(heard)
    assert (told is signal.SIGINT) == ("demo: interrupted\n" in heard)
