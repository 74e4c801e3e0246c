"""Lets keys rotate in bad weather for as long as it is given, and prints what applications noticed: nothing.

python -m tests.proof.soak MINUTES
"""

import asyncio
import logging
import os
import sys
from random import SystemRandom

from simulator.running import simulator
from tests import emulator
from tests.proof.minutes import Ending, run


def soak(ending: Ending) -> int:
    """Use accounts while their keys rotate; the exit code is 1 if a request failed."""
    seed = SystemRandom().getrandbits(32)
    with simulator() as running, emulator.azurite() as storage:
        os.environ.update(running.env)
        # aiohttp reads the trusted certificates on import, and the simulator has made them only now.
        from tests.proof.weather import Weather  # noqa: PLC0415

        logging.getLogger("rotation").setLevel(logging.CRITICAL)
        weather = Weather(running.control, storage, seed)
        try:
            print(f"bad weather under applications for {ending.minutes:g} minutes; Ctrl-C ends it", flush=True)  # noqa: T201  same
            asyncio.run(weather.last(lambda _: not ending.has_come()))
        finally:
            print(*weather.tally.failures, f"{weather.tally}, seed {seed}", sep="\n")  # noqa: T201  what it is for
    if not weather.tally.rotations and not ending.interrupted:
        print("too short: no key was rotated")  # noqa: T201  same
        return 1
    return 1 if weather.tally.failures else 0


if __name__ == "__main__":
    if not emulator.installed():
        sys.exit("no Azurite, in which leases would be: `make setup` installs it where there is Node.js")
    run(soak, "make soak")
