"""Runs an app in a fresh process, for what cannot be seen in one that has loaded and configured it already."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def fresh(folder: Path, *calls: list[Any], **environment: str) -> tuple[dict[str, Any], str]:
    """Do the calls; what came of them, and what was logged."""
    done = subprocess.run(  # noqa: S603  our own program
        [sys.executable, "-m", "tests.functions.once", str(folder)],
        cwd=ROOT,
        env={**os.environ, **environment},
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told, done.stderr
