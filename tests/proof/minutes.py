"""For how long a soak goes on: as its command line says, or until somebody ends it."""

import argparse
import signal
import sys
from collections.abc import Callable
from types import FrameType

INTERRUPTED = 130


def run(soak: Callable[[float], int], prog: str) -> None:
    """Run a soak, and exit with its code; Ctrl-C and SIGTERM end it, and its simulator with it."""
    minutes, interrupts = asked_minutes(prog), list[int]()

    def interrupt(number: int, _: FrameType | None) -> None:
        interrupts.append(number)
        raise KeyboardInterrupt

    # A shell lets its jobs in the background ignore Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        code = soak(minutes)
    except BaseException:
        # Who is interrupted in the middle of anything may make another exception of it. What was reached is told.
        if not interrupts:
            raise
        code = INTERRUPTED
    sys.exit(code)


def asked_minutes(prog: str | None = None) -> float:
    """The one argument; a run that would try nothing is refused."""
    parser = argparse.ArgumentParser(prog=prog)
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
