"""Runs a program in its own process and takes down what it cost."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LAUNCH = ROOT / "bench/launch.py"


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
    """Seconds for which its first thread was ready, and other programs had the processors; on Linux."""
    told: dict[str, Any]
    """What it printed, as JSON."""


def python(module: str, *arguments: object, env: Mapping[str, str], stdin: int | None = None) -> Cost:
    """Run one of our own modules."""
    return run((sys.executable, "-m", module, *map(str, arguments)), env, stdin)


def run(command: Sequence[str], env: Mapping[str, str], stdin: int | None = None) -> Cost:
    """Run a program that prints one line of JSON, or nothing; raises CalledProcessError when it fails."""
    # What the machine has set for a real Azure, or for proxies, is not for it.
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "ROTATION_"))}
    launched = (sys.executable, "-S", str(LAUNCH), *command)
    done = subprocess.run(launched, cwd=ROOT, env={**clean, **env}, stdin=stdin, stdout=subprocess.PIPE, check=True)  # noqa: S603  our own programs
    return Cost(**json.loads(done.stdout))
