"""The app as `make serve` serves it, over the simulator of the tests, and what it prints in a file."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
NEVER = "0 0 0 1 1 *"
"""A schedule that does not get in the way of a test."""


@dataclass(frozen=True, slots=True)
class Served:
    """Where the app answers, and the file that its output goes to."""

    here: str
    output: Path


@contextmanager
def serving(folder: Path, **environment: str) -> Iterator[Served]:
    """Serve, and stop."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    served = Served(f"http://127.0.0.1:{port}", folder / "served.txt")
    quiet = {"ROTATION_SCHEDULE": NEVER, "ROTATION_AUDIT_SCHEDULE": NEVER}
    with (
        served.output.open("w") as output,
        subprocess.Popen(  # noqa: S603  our own program
            [sys.executable, "-m", "tests.functions.serve", str(port)],
            cwd=ROOT,
            env={**os.environ, **quiet, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            _wait_for(served, process)
            yield served
        finally:
            # Its storage emulator, which a terminal would interrupt too, is to be there until it has stopped.
            process.send_signal(signal.SIGINT)
    assert 0 == process.returncode, served.output.read_text()


def _wait_for(served: Served, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE
    while "Ctrl+C" not in served.output.read_text():
        assert process.poll() is None, served.output.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
