"""Whose code the processor's time goes to, found out by looking at what runs every few milliseconds of it.

What is built in, such as TLS, counts for the function that calls it. To look so rarely changes nothing in what is seen;
a profiler that follows each call would make small functions look large.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from bench.measure import ROOT

Function = tuple[str, str]
"""The file, and the name in it."""

_INTERVAL = 0.001
"""Seconds of processor time between two looks; the kernel rounds up."""
_NAMED = 10

_LIBRARY = str(Path(asyncio.__file__).parents[1]) + "/"
_PACKAGES = "/site-packages/"
_OURS = tuple(f"{ROOT / folder}/" for folder in ("rotation", "bench"))
_OWNERS = {
    "the Azure SDKs": ("azure/", "isodate/", "msal/", "msal_extensions/"),
    "aiohttp": ("aiohttp/", "yarl/", "multidict/", "propcache/"),
    "asyncio, TLS and sockets": ("asyncio/", "ssl.py", "selectors.py", "socket.py"),
    "imports": ("<frozen importlib", "importlib/"),
}


@contextmanager
def sampled() -> Iterator[Counter[Function]]:
    """Count which function is at work, each time that this process has used so much of a processor."""
    samples: Counter[Function] = Counter()

    def look(_: int, frame: FrameType | None) -> None:
        if frame is not None:
            samples[frame.f_code.co_filename, frame.f_code.co_qualname] += 1

    before = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, _INTERVAL, _INTERVAL)
    try:
        yield samples
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def shares(samples: Counter[Function]) -> dict[str, Any]:
    """Parts of the whole: of each owner, of the functions that take most, and of ours that take most."""
    total = samples.total()
    owners: Counter[str] = Counter()
    for (file, _), count in samples.items():
        owners[owner(file)] += count
    functions = [
        {"file": _place(file), "function": name, "owner": owner(file), "share": count / total}
        for (file, name), count in samples.most_common()
    ]
    return {
        "samples": total,
        "owners": {name: count / total for name, count in owners.most_common()},
        "functions": functions[:_NAMED],
        "ours": [function for function in functions if function["owner"] == "ours"][:_NAMED],
    }


def owner(file: str) -> str:
    """Who wrote a file, by where it is installed; names of folders above say nothing."""
    if file.startswith(_OURS):
        return "ours"
    place = _place(file)
    return next((name for name, starts in _OWNERS.items() if place.startswith(starts)), "the rest of Python")


def _place(file: str) -> str:
    """The file as its package names it."""
    if _PACKAGES in file:
        return file.rpartition(_PACKAGES)[2]
    return file.removeprefix(f"{ROOT}/").removeprefix(_LIBRARY)
