"""For how long a soak goes on, from its command line."""

import argparse


def asked_minutes() -> float:
    """The one argument; a run that would try nothing is refused."""
    parser = argparse.ArgumentParser()
    parser.add_argument("minutes", type=_minutes)
    parser.add_argument("--share", type=float, default=1, help="how much of that is for this soak")
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
