"""Runs a program in its own process and takes down what it cost."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MEGABYTE = 1024
NANOSECONDS = 1e9


@dataclass(frozen=True, slots=True)
class Cost:
    """One program from its start to its end."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds of processor time, its children's included."""
    peak: float
    """Megabytes of memory, of the largest process."""
    waited: float
    """Seconds for which it was ready, and other programs had the processors; of its first thread, on Linux."""
    told: dict[str, Any]
    """What it printed, as JSON."""


def python(module: str, *arguments: object, env: Mapping[str, str], stdin: int | None = None) -> Cost:
    """Run one of our own modules."""
    return run((sys.executable, "-m", module, *map(str, arguments)), env, stdin)


def run(command: Sequence[str], env: Mapping[str, str], stdin: int | None = None) -> Cost:
    """Run a program that prints one line of JSON; raises RuntimeError when it fails."""
    # What the machine has set for a real Azure, or for proxies, is not for it.
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "ROTATION_"))}
    started = time.monotonic()
    told = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env={**clean, **env}, stdin=stdin, stdout=told) as process:  # noqa: S603  our own programs
        assert process.stdout  # noqa: S101  as asked for above
        printed = process.stdout.read()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        waited = waited_for_processor(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - started
    if process.returncode:
        raise RuntimeError(f"{command[:4]} ended with {process.returncode}")
    cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / MEGABYTE
    return Cost(wall, cpu, peak, waited, json.loads(printed or "{}"))


def waited_for_processor(pid: int) -> float:
    """Seconds for which the first thread of a process was ready to run and did not."""
    told = Path(f"/proc/{pid}/schedstat")
    return int(told.read_text().split()[1]) / NANOSECONDS if told.exists() else 0.0
