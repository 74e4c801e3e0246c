"""The simulator's own clocks."""

import time
from datetime import UTC, datetime, timedelta


def real_time() -> float:
    """Unix seconds of the machine: what tokens and signatures are checked against."""
    return time.time()  # noqa: TID251  # the simulator shares nothing with rotation/, not even its clock


def running_time() -> float:
    """Seconds on a clock that never jumps: what delays and long operations are measured with."""
    return time.monotonic()


class Clock:
    """The time that Azure writes into its answers; `offset` seconds away from the machine's."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> datetime:
        """Aware UTC time for timestamps such as `created` and `keyCreationTime`."""
        return datetime.fromtimestamp(real_time(), UTC) + timedelta(seconds=self.offset)


def stamp(moment: datetime) -> str:
    """The moment as Azure prints it, with seven decimals: `2031-05-01T04:42:22.4322830Z`."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}0Z"
