"""Lets keys rotate in bad weather for as long as it is given, and prints what applications noticed: nothing.

python -m tests.proof.soak MINUTES
"""

import asyncio
import logging
import os
import sys
import time
from random import SystemRandom

from simulator.running import simulator
from tests import emulator
from tests.proof.minutes import run


def soak(minutes: float) -> int:
    """Use accounts while their keys rotate; the exit code is 1 if a request failed."""
    ends, seed = time.monotonic() + 60 * minutes, SystemRandom().getrandbits(32)
    with simulator() as running, emulator.azurite() as storage:
        os.environ.update(running.env)
        # aiohttp reads the trusted certificates on import, and the simulator has made them only now.
        from tests.proof.weather import Weather  # noqa: PLC0415

        logging.getLogger("rotation").setLevel(logging.CRITICAL)
        weather = Weather(running.control, storage, seed)
        try:
            print(f"bad weather under applications for {minutes:g} minutes; Ctrl-C ends it", flush=True)  # noqa: T201  same
            asyncio.run(weather.last(lambda _: time.monotonic() < ends))
        finally:
            print(*weather.tally.failures, f"{weather.tally}, seed {seed}", sep="\n")  # noqa: T201  what it is for
    if not weather.tally.rotations:
        print("too short: no key was rotated")  # noqa: T201  same
        return 1
    return 1 if weather.tally.failures else 0


if __name__ == "__main__":
    if not emulator.installed():
        sys.exit("no Azurite, in which leases would be: `make setup` installs it where there is Node.js")
    run(soak, "python -m tests.proof.soak")
