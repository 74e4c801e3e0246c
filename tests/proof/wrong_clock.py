"""An Azure whose clocks are all wrong, or a machine whose clock is: to each of the two it is the other.

The simulator's own `clock_offset` leaves tokens and signatures on the right time; here the wrong one judges them.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from simulator import clock
from simulator.client import ControlClient
from simulator.running import Running, _wait_until_ready

ROOT = Path(__file__).parents[2]
AHEAD = "WRONG_CLOCK_AHEAD"


@contextmanager
def azure(estate: dict[str, Any], ahead: timedelta) -> Iterator[Running]:
    """Start a simulator whose clocks are ahead of the machine's."""
    with tempfile.TemporaryDirectory(prefix="wrong-clock-") as folder:
        env_file, estate_file = Path(folder) / "env", Path(folder) / "estate.json"
        estate_file.write_text(json.dumps(estate))
        command = [sys.executable, "-m", "tests.proof.wrong_clock", "serve"]
        with subprocess.Popen(  # noqa: S603  # our own program
            [*command, "--env-file", env_file, "--estate", estate_file],
            cwd=ROOT,
            env={**os.environ, AHEAD: str(ahead.total_seconds())},
            stdout=subprocess.DEVNULL,
        ) as process:
            try:
                _wait_until_ready(process, env_file)
                env = dict(line.split("=", 1) for line in env_file.read_text().splitlines())
                yield Running(env, ControlClient(env["SIMULATOR_URL"]))
            finally:
                process.terminate()


if __name__ == "__main__":
    right, seconds = clock.real_time, float(os.environ[AHEAD])
    clock.real_time = lambda: right() + seconds  # before anything imports it

    from simulator.cli import main

    main()
