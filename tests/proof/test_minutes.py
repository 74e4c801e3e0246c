"""A soak says so when it is asked to try nothing, and says what it has reached when somebody ends it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.proof.minutes import INTERRUPTED, asked_minutes

ROOT = Path(__file__).parents[2]


def test_weather_in_which_no_key_was_rotated_proves_nothing() -> None:
    """Whoever gives it hardly any time is told so by the exit code, too."""
    command = [sys.executable, "-m", "tests.proof.soak", "0.0001"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  our own program

    assert (1, "too short: no key was rotated") == (ran.returncode, ran.stdout.splitlines()[-1])


@pytest.mark.parametrize("service", ["bacth", "storage batch", "storage storage", "storage bacth", ""])
def test_the_full_proof_of_a_service_that_there_is_not_is_refused(service: str) -> None:
    """It would run hardly anything, and pass."""
    command = ["make", "--dry-run", "prove-full", f"SERVICE={service}"]  # found on the path, as by people
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  our own program

    assert (2, "") == (ran.returncode, ran.stdout)
    assert f"SERVICE={service}: it is storage, batch or webpubsub" in ran.stderr


@pytest.mark.parametrize(
    "arguments", [[], ["0"], ["-1"], ["nan"], ["inf"], ["an hour"], ["1", "2"], ["1", "--share", "3"]], ids=" ".join
)
def test_a_soak_that_would_try_nothing_is_refused(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what is wrong, and not with a stack trace."""
    monkeypatch.setattr(sys, "argv", ["soak", *arguments])
    with pytest.raises(SystemExit) as refused:
        asked_minutes("make soak")

    assert 2 == refused.value.code
    assert "usage: make soak MINUTES=5" in capsys.readouterr().err


def test_minutes_may_be_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """`make soak` divides them."""
    monkeypatch.setattr(sys, "argv", ["soak", "1", "--share", "0.5"])
    assert 0.5 == asked_minutes()


@pytest.mark.parametrize("module", ["tests.proof.orders.soak", "tests.proof.soak"])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_soak_that_is_ended_tells_what_it_has_reached_and_leaves_nothing_running(
    module: str, how: signal.Signals, azurite: str
) -> None:
    """Its simulator, and its emulator where it has one, end with it, and nothing reads like a failure."""
    assert azurite
    with subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-m", module, "5"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "SIMULATOR_URL"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert "for 5 minutes" in process.stdout.readline()
        os.killpg(process.pid, how)  # as a terminal does
        told, complaints = process.communicate(timeout=60)

    assert INTERRUPTED == process.returncode
    assert "steps" in told
    assert "make soak: interrupted; nothing had failed until then" == told.splitlines()[-1]
    assert ["interrupted; what is under way ends first, and once more ends it now"] == complaints.splitlines()
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
