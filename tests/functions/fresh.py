"""Runs an app in a fresh process, for what cannot be seen in one that has loaded and configured it already."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0


def start(
    folder: Path, *calls: list[Any], python: str = sys.executable, home: Path = ROOT, **environment: str
) -> subprocess.Popen[str]:
    """Start a process that does the calls, by another interpreter or in another folder where that matters."""
    process = subprocess.Popen(  # noqa: S603  our own program
        [python, "-m", "tests.functions.once", str(folder)],
        cwd=home,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(calls))
    process.stdin.close()
    process.stdin = None
    return process


def fresh(folder: Path, *calls: list[Any], **told: Any) -> tuple[dict[str, Any], str]:
    """Do the calls; what came of them, and what was logged."""
    return finish(start(folder, *calls, **told))


def finish(process: subprocess.Popen[str]) -> tuple[dict[str, Any], str]:
    """Wait for a process that was started; what came of its calls, and what was logged."""
    with process:
        printed, logged = process.communicate(timeout=PATIENCE)
    assert 0 == process.returncode, logged
    told: dict[str, Any] = json.loads(printed)
    return told, logged
