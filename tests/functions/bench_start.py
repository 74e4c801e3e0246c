"""Measures a cold start: fresh processes until the worker is ready, for this app and for one with empty functions.

    python -m tests.functions.bench_start

Exits with 1 when this app takes longer than it may.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from simulator.running import simulator
from tests import emulator
from tests.functions.estate import SETTINGS, estate
from tests.functions.harness import App, load

ROOT = Path(__file__).parents[2]
EMPTY = Path(__file__).parent / "empty"
PROCESSES = 10
ALLOWED = 1.25
ORDER = {"vault": "kv-one", "secret": "secret-0"}


def main() -> int:
    """Measure, print, and say whether it is quick enough."""
    with simulator(estate()) as azure, emulator.azurite() as storage:
        os.environ.update({**azure.env, **SETTINGS, "AzureWebJobsStorage": storage})
        for folder in (EMPTY, ROOT):
            start(folder)  # so that bytecode and the files themselves are at hand
        ready: dict[Path, list[float]] = {EMPTY: [], ROOT: []}
        rotated = []
        for _ in range(PROCESSES):
            azure.control.reset(estate())
            ready[EMPTY].append(start(EMPTY)[0])
            seconds, first = start(ROOT, "rotate")
            ready[ROOT].append(seconds)
            rotated.append(first)
    empty, ours = median(ready[EMPTY]), median(ready[ROOT])
    print(f"ready with empty functions  {empty * 1000:5.0f} ms")  # noqa: T201  what it is for
    print(f"ready                       {ours * 1000:5.0f} ms, {ours / empty:.2f} times as long (at most {ALLOWED})")  # noqa: T201
    print(f"the first rotation after it {median(rotated) * 1000:5.0f} ms")  # noqa: T201
    return int(ours / empty > ALLOWED)


def start(folder: Path, *more: str) -> tuple[float, float]:
    """Start a process; seconds until its worker was ready, and seconds of a rotation after it."""
    started = time.monotonic()
    done = subprocess.run(  # noqa: S603  our own program
        [sys.executable, "-m", __spec__.name, str(folder), *more], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    # The clock is that of the machine, so it can be compared between processes.
    ready, ended = json.loads(done.stdout)
    return ready - started, ended - ready


async def measured(folder: Path, *, rotate: bool) -> tuple[float, float]:
    """In the process that is measured: when the worker was ready, and when it had rotated an account."""
    app = await load(folder)
    ready = time.monotonic()
    if rotate:
        await _rotate(app)
    return ready, time.monotonic()


async def _rotate(app: App) -> None:
    answer = await app.post("rotate_now", ORDER)
    assert {"changed": 1} == answer.json()["counts"]
    await app.close()


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.path.insert(0, sys.argv[1])
        print(json.dumps(asyncio.run(measured(Path(sys.argv[1]), rotate="rotate" in sys.argv))))  # noqa: T201
    else:
        sys.exit(main())
