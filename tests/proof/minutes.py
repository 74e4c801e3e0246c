"""For how long a soak goes on: as its command line says, or until somebody ends it."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

INTERRUPTED = 130


class Ending:
    """When a soak is to end; what is under way by then comes to its end first."""

    def __init__(self, minutes: float) -> None:
        self.minutes = minutes
        self.interrupted = False
        self._at = time.monotonic() + 60 * minutes

    def has_come(self) -> bool:
        """Whether nothing new is to be begun."""
        return self.interrupted or time.monotonic() >= self._at

    def interrupt(self, _: int, __: FrameType | None) -> None:
        """Let it come now; whoever cannot wait for what is under way says so once more."""
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        os.write(sys.stderr.fileno(), b"interrupted; what is under way ends first, and once more ends it now\n")


def run(soak: Callable[[Ending], int], name: str) -> None:
    """Run a soak, and exit with its code; Ctrl-C and SIGTERM end it, and its simulator with it."""
    ending = Ending(asked_minutes(name))
    # A shell lets its jobs in the background ignore Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ending.interrupt)
    code = soak(ending)
    if ending.interrupted and not code:
        print(f"{name}: interrupted; nothing had failed until then")  # noqa: T201  what it is for
        code = INTERRUPTED
    sys.exit(code)


def asked_minutes(name: str | None = None) -> float:
    """The one argument; a run that would try nothing is refused."""
    parser = argparse.ArgumentParser(prog=name, usage=name and f"{name} MINUTES=5")
    parser.add_argument("minutes", type=_minutes, help="for how many minutes to go on")
    parser.add_argument("--share", type=_share, default=1, help="how much of them is for this soak; all, 1, by default")
    given = parser.parse_args()
    return float(given.minutes * given.share)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0
    if not 0 < minutes < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of minutes in which anything can be tried")
    return minutes


def _share(text: str) -> float:
    share = _minutes(text)
    if share > 1:
        raise argparse.ArgumentTypeError(f"{text!r} is more than the whole")
    return share
