"""A simulator in a process of its own, for tests and the demo."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.client import ControlClient

START_SECONDS = 60.0
STOP_SECONDS = 10.0
LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Running:
    """A simulator that is ready: the environment of its clients, and its control API."""

    env: dict[str, str]
    control: ControlClient


@contextmanager
def simulator(
    estate: dict[str, Any] | None = None, *, program: str = "simulator", **environment: str
) -> Iterator[Running]:
    """Start a simulator and stop it afterwards; raises RuntimeError when it does not get ready.

    `program` is the module to run, and `environment` what it is told beside the environment of this process.
    """
    with tempfile.TemporaryDirectory(prefix="simulator-run-") as folder:
        env_file = Path(folder) / "env"
        command = [sys.executable, "-m", program, "serve", "--env-file", str(env_file)]
        if estate is not None:
            (Path(folder) / "estate.json").write_text(json.dumps(estate))
            command += ["--estate", str(Path(folder) / "estate.json")]
        root = Path(__file__).resolve().parent.parent
        with subprocess.Popen(  # noqa: S603  # our own program
            command,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            cwd=root,
            process_group=0,  # who interrupts a terminal still needs it while what is under way ends
        ) as process:
            try:
                _wait_until_ready(process, env_file)
                env = dict(line.split("=", 1) for line in env_file.read_text().splitlines())
                yield Running(env, ControlClient(env["SIMULATOR_URL"]))
            finally:
                process.terminate()
                process.wait(STOP_SECONDS)


def _wait_until_ready(process: subprocess.Popen[bytes], env_file: Path) -> None:
    patience = START_SECONDS
    while not env_file.exists():
        if process.poll() is not None:
            raise RuntimeError(f"the simulator ended with code {process.returncode} before it was ready")
        if patience <= 0:
            raise RuntimeError(f"the simulator was not ready within {START_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)
        patience -= LOOK_SECONDS
