"""Runs everything, prints the tables, and writes `results.json` and the plots.

python -m bench [FOLDER]
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import plots, runs, tables
from bench.runs import IN_PROCESS, ON_BLOBS, WIDTH, Row

GIGABYTE = 2**30

console = Console(stderr=True)
"""The tables alone are on standard output."""


def main(folder: Path) -> None:
    """Measure, write, print."""
    started = time.monotonic()
    folder.mkdir(exist_ok=True)
    results: Row = {"machine": machine()}
    results["rivals"] = measured("rivals", rivals)
    results["single"] = measured("single rotations", lambda: [runs.single(IN_PROCESS), runs.single(ON_BLOBS)])
    results["fleet"] = measured("fleets", fleets)
    results["profile"] = measured("a profile", lambda: runs.profile(600, WIDTH))
    results["throttled"] = measured("throttling", throttled)
    results["sweep"] = measured("sweeps", lambda: [runs.sweep(n, min(n, 100)) for n in (100, 1000, 10_000)])
    results["scale_out"] = measured("scale-out", lambda: [runs.scale_out(240, workers) for workers in (1, 2, 4)])
    results["growth"] = measured("growth", lambda: growth(results["fleet"][1]))
    results["seconds"] = time.monotonic() - started
    written = folder / "results.json"
    written.write_text(json.dumps(results, indent=1) + "\n")
    plots.draw(results, folder)
    tables.main(written)
    console.print(f"{results['seconds']:.0f} s; written to {folder}")


def machine() -> Row:
    """Where the numbers come from, and how busy it was before."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIGABYTE,
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def measured(what: str, measure: Callable[[], Any]) -> Any:  # noqa: ANN401  rows
    """Say what is going on, then do it."""
    with console.status(what):
        return measure()


def rivals() -> list[Row]:
    """One account and a hundred; few for the CLI, which takes two programs of seconds for each."""
    return [*runs.rivals(1), *runs.command_line(1), *runs.rivals(100), *runs.command_line(3)]


def fleets() -> list[Row]:
    """Half of the places, all of them, and these with leases as the app has them."""
    return [runs.fleet(500, WIDTH // 2), runs.fleet(1000, WIDTH), runs.fleet(1000, WIDTH, ON_BLOBS)]


def throttled() -> list[Row]:
    """All services at once, which Resource Manager's quota bounds, and one whose own quota does."""
    return [runs.throttled(["batch", "storage", "webpubsub"], 250, 4), runs.throttled(["storage"], 800, 9)]


def growth(thousand: Row) -> list[Row]:
    """Ten times as many accounts, and again; a thousand have been measured already."""
    return [runs.fleet(10, WIDTH), runs.fleet(100, WIDTH), thousand, runs.fleet(10_000, WIDTH)]


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    names = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=tables.RESULTS.parent, help="where to write")
    main(parser.parse_args().folder)
