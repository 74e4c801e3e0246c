"""Runs everything, prints the tables, and writes `results.json` and the plots.

python -m bench [FOLDER]
"""

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import plots, runs
from bench.runs import WIDTH, Row

RESULTS = Path(__file__).parent / "results"
console = Console(width=110)


def main(folder: Path) -> None:
    """Measure, print, write."""
    started = time.monotonic()
    folder.mkdir(exist_ok=True)
    results: dict[str, Any] = {"machine": machine()}
    results["rivals"] = measured("rivals", lambda: [*runs.rivals(1), *cli(1), *runs.rivals(100), *cli(3)])
    results["single"] = measured("a single rotation", runs.single)
    results["fleet"] = measured("fleets", lambda: [runs.fleet(1000, width) for width in (WIDTH // 2, WIDTH)])
    results["profile"] = measured("a profile", lambda: runs.profile(300, WIDTH))
    results["throttled"] = measured(
        "throttling", lambda: [runs.throttled(["batch"], 600, 4), runs.throttled(["storage"], 400, 5)]
    )
    results["sweep"] = measured("sweeps", lambda: [runs.sweep(n, min(n, 100)) for n in (100, 1000, 10_000)])
    results["scale_out"] = measured("scale-out", lambda: [runs.scale_out(240, workers) for workers in (1, 2, 4)])
    results["growth"] = measured("growth", lambda: growth(results["fleet"][-1]))
    results["seconds"] = time.monotonic() - started
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    show(results)
    plots.draw(results, folder)
    console.print(f"{results['seconds']:.0f} s; written to {folder}")


def machine() -> Row:
    """Where the numbers come from, and how busy it was before."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def measured(what: str, measure: Callable[[], Any]) -> Any:  # noqa: ANN401  rows
    """Say what is going on, then do it."""
    with console.status(what):
        return measure()


def growth(thousand: Row) -> list[Row]:
    """Ten times as many accounts, and again; a thousand have been measured already."""
    return [runs.fleet(10, WIDTH), runs.fleet(100, WIDTH), thousand, runs.fleet(10_000, WIDTH)]


def cli(accounts: int) -> list[Row]:
    """Few accounts: each takes two programs of seconds."""
    return runs.command_line(accounts)


def show(results: dict[str, Any]) -> None:
    """Print a table for each part."""
    machine = results["machine"]
    console.print(f"{machine['processor']}, {machine['cores']} cores, load {machine['load_before']:.1f} before")
    table(
        "What a user would pick instead",
        ("", "accounts", "process s", "limit s", "waited s", "CPU ms each", "peak MB", "requests each", "keys work"),
        [
            (
                r["name"],
                r["accounts"],
                r["process"],
                r["limit"],
                r["waited"],
                r["process_cpu"] * 1000,
                r["peak"],
                r["requests"],
                r["opens"],
            )
            for r in results["rivals"]
        ],
    )
    rivals = [row for row in results["rivals"] if row["accounts"] == 100]
    table(
        "Requests for each rotation",
        ("", *(row["name"] for row in rivals)),
        [(kind, *(row["work"].get(kind, 0.0) for row in rivals)) for kind in rivals[-1]["work"]],
    )
    single = runs.spread(results["single"])
    console.print(
        f"{single['rotations']} rotations one after the other: {single['median']:.2f} of the limit in the median, "
        f"{single['worst']:.2f} at worst"
    )
    table(
        "Against the limit",
        ("", "at once", "wall s", "limit s", "of limit", "waited s", "CPU ms each", "peak MB", "failed"),
        [
            (
                f"{r['accounts']} accounts",
                r["width"],
                r["wall"],
                r["limit"],
                _ratio(r),
                r["waited"],
                r["cpu"] * 1000,
                r["peak"],
                r["failed"],
            )
            for r in [*results["fleet"], *results["growth"]]
        ],
    )
    spent = sum(results["profile"]["owners"].values())
    table(
        "What the processor does",
        ("", "%"),
        [(owner, 100 * seconds / spent) for owner, seconds in results["profile"]["owners"].items()],
    )
    table(
        "With quotas",
        ("", "quota", "times Azure's", "wall s", "limit s", "of quota %", "throttled %", "delivered again", "failed"),
        [
            (
                f"{r['accounts']} {r['kinds'][0]}",
                r["bucket"],
                r["speed"],
                r["wall"],
                r["limit"],
                r["used"] * 100,
                r["throttled"] * 100,
                r["delivered_again"],
                r["failed"],
            )
            for r in results["throttled"]
        ],
    )
    table(
        "Sweep",
        ("secrets", "queued", "requests", "wall s", "limit s", "waited s", "CPU ms", "peak MB"),
        [
            (r["secrets"], r["queued"], r["requests"], r["wall"], r["limit"], r["waited"], r["cpu"] * 1000, r["peak"])
            for r in results["sweep"]
        ],
    )
    table(
        "Scale-out",
        ("workers", "accounts", "wall s", "limit s", "waited s", "CPU s", "messages", "exactly once", "keys work"),
        [
            (
                r["workers"],
                r["accounts"],
                r["wall"],
                r["limit"],
                r["waited"],
                r["cpu"],
                r["shares"],
                r["exactly_once"],
                r["opens"],
            )
            for r in results["scale_out"]
        ],
    )


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print one table."""
    shown = Table(*columns, title=title, title_justify="left")
    for row in rows:
        shown.add_row(*map(_text, row))
    console.print(shown)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _ratio(row: Row) -> str:
    return f"{row['wall'] / row['limit']:.2f}"


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    names = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS)
