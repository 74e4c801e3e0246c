"""Tells ever new stories for as long as it is given, and prints how many there were and what happened in them.

python -m tests.proof.orders.soak MINUTES
"""

import os
import time
from collections import Counter

from simulator.running import simulator
from tests.proof.minutes import Ending, run

EXAMPLES = 5
"""How many stories are told between two looks at the clock."""


def soak(ending: Ending) -> int:
    """Tell stories; the first that ends badly ends it all, and is raised with its steps."""
    with simulator() as running:
        os.environ.update(running.env)
        # aiohttp reads the trusted certificates on import, and the simulator has made them only now.
        from tests.proof.orders.stage import Stage  # noqa: PLC0415
        from tests.proof.orders.stories import never, tell  # noqa: PLC0415

        stage = Stage(running.control)
        started = time.monotonic()
        try:
            print(f"ever new orders of events for {ending.minutes:g} minutes; Ctrl-C ends it", flush=True)  # noqa: T201  # the same
            while not ending.has_come():
                # What an earlier run found is no part of this one, whose seeds are fresh.
                tell(stage, EXAMPLES, derandomize=False, database=None)
        finally:
            _tell(stage.tally, time.monotonic() - started)
            if not ending.interrupted:
                print("never:", ", ".join(sorted(never(stage.tally))) or "nothing that can happen")  # noqa: T201  # the same
            stage.close()
    return 0


def _tell(tally: Counter[str], seconds: float) -> None:
    for what, times in sorted(tally.items()):
        print(f"{times:8} {what}")  # noqa: T201  # what it is for
    print(f"{tally['examples']} examples, {tally['steps']} steps in {seconds:.0f} s")  # noqa: T201  # what it is for


if __name__ == "__main__":
    run(soak, "make soak")
