"""An Azure whose clocks are all wrong, or a machine whose clock is: to each of the two it is the other.

The simulator's own `clock_offset` leaves tokens and signatures on the right time; here the wrong one judges them.
"""

import os
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

from simulator import clock
from simulator.running import Running, simulator

AHEAD = "WRONG_CLOCK_AHEAD"


def azure(estate: dict[str, Any], ahead: timedelta) -> AbstractContextManager[Running]:
    """Start a simulator whose clocks are ahead of the machine's."""
    return simulator(estate, program="tests.proof.wrong_clock", **{AHEAD: str(ahead.total_seconds())})


if __name__ == "__main__":
    right, seconds = clock.real_time, float(os.environ[AHEAD])
    clock.real_time = lambda: right() + seconds  # before anything imports it

    from simulator.cli import main

    main()
