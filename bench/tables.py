"""The results as the Markdown tables of docs/performance.md.

python -m bench.tables [RESULTS.JSON]
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.runs import Row

Columns = Mapping[str, Callable[[Row], object]]
"""The headings, and what stands below them for a row; None for nothing."""

PAGE = 25
"""Secrets on a page of a listing."""
RESULTS = Path(__file__).parent / "results/results.json"

RIVALS: Columns = {
    "": lambda r: r["name"],
    "accounts": lambda r: f"{r['accounts']:,}",
    "program, s": lambda r: f"{r['process']:.1f}",
    "limit, s": lambda r: f"{r['limit']:.2f}",
    "first thread waited, s": lambda r: seconds(r["waited"]),
    "CPU each, ms": lambda r: f"{1000 * r['process_cpu']:,.0f}",
    "peak, MB": lambda r: f"{r['peak']:.0f}",
    "requests each": lambda r: f"{r['requests']:.1f}",
    "all keys work": lambda r: yes(r["opens"]),
}
SINGLE: Columns = {
    "leases": lambda r: r["leases"],
    "rotations": lambda r: len(r["rotations"]),
    "wall, s": lambda r: f"{r['wall']:.2f}",
    "limit, s": lambda r: f"{r['limit']:.2f}",
    "of limit, median": lambda r: f"{r['median']:.2f}",
    "of limit, worst": lambda r: f"{r['worst']:.2f}",
}
FLEET: Columns = {
    "accounts": lambda r: f"{r['accounts']:,}",
    "at once": lambda r: r["width"],
    "leases": lambda r: r["leases"],
    "wall, s": lambda r: f"{r['wall']:.1f}",
    "limit, s": lambda r: f"{r['limit']:.1f}",
    "of limit": lambda r: f"{r['wall'] / r['limit']:.2f}",
    "first thread waited, s": lambda r: seconds(r["waited"]),
    "CPU each, ms": lambda r: f"{1000 * r['cpu']:.1f}",
    "peak, MB": lambda r: f"{r['peak']:.0f}",
    "requests each": lambda r: f"{r['requests']:.1f}",
    "failed": lambda r: r["failed"],
}
THROTTLED: Columns = {
    "": lambda r: f"{r['accounts']:,} {', '.join(r['kinds'])}",
    "quota": lambda r: r["bucket"],
    "times Azure's": lambda r: r["speed"],
    "wall, s": lambda r: f"{r['wall']:.1f}",
    "limit, s": lambda r: f"{r['limit']:.1f}",
    "limit of wall": lambda r: percent(r["useful"]),
    "granted of the quota": lambda r: percent(r["used"]),
    "of all requests refused": lambda r: percent(r["throttled"]),
    "delivered again": lambda r: r["delivered_again"],
    "failed": lambda r: r["failed"],
    "each rotated once": lambda r: yes(r["exactly_once"]),
    "all keys work": lambda r: yes(r["opens"]),
}
SWEEP: Columns = {
    "secrets": lambda r: f"{r['secrets']:,}",
    "due": lambda r: r["queued"],
    "requests": lambda r: r["requests"],
    "wall, s": lambda r: f"{r['wall']:.1f}",
    "limit, s": lambda r: f"{r['limit']:.1f}",
    "first thread waited, s": lambda r: seconds(r["waited"]),
    "CPU, s": lambda r: f"{r['cpu']:.2f}",
    "peak, MB": lambda r: f"{r['peak']:.0f}",
}
SCALE_OUT: Columns = {
    "workers": lambda r: r["workers"],
    "accounts": lambda r: r["accounts"],
    "wall, s": lambda r: f"{r['wall']:.1f}",
    "limit, s": lambda r: f"{r['limit']:.1f}",
    "first threads waited, s each": lambda r: seconds(r["waited"]),
    "CPU of all, s": lambda r: f"{r['cpu']:.1f}",
    "messages of each": lambda r: ", ".join(map(str, r["shares"])),
    "each rotated once": lambda r: yes(r["exactly_once"]),
    "all keys work": lambda r: yes(r["opens"]),
}
GOALS: Columns = {
    "goal": lambda r: r["goal"],
    "result": lambda r: r["result"],
    "": lambda r: "met" if r["met"] else "**missed**",
}
FUNCTIONS: Columns = {
    "function": lambda r: f"`{r['file']}` `{r['function']}`",
    "whose": lambda r: r["owner"],
    "share": lambda r: percent(r["share"]),
}


def markdown(results: Row) -> Iterator[str]:
    """Each table with the heading that it stands below in the document."""
    machine, profile = results["machine"], results["profile"]
    yield (
        f"## The machine\n\n{machine['processor']}, {machine['cores']} processors, {machine['memory']:.0f} GB, "
        f"{machine['system']}, Python {machine['python']}, load {machine['load_before']:.1f} before, "
        f"{results['seconds'] / 60:.1f} minutes for everything"
    )
    yield _table("Goals", GOALS, _goals(results))
    yield _table("Instead of this", RIVALS, results["rivals"])
    yield _work([row for row in results["rivals"] if row["accounts"] == 100])
    yield _table("The limit: one after the other", SINGLE, results["single"])
    yield _table("The limit: fleets", FLEET, results["fleet"])
    yield _table("Growth", FLEET, results["growth"])
    yield f"Memory grows by {_kilobytes(results['growth'][-2:]):.1f} kB an account."
    yield _table("Quotas", THROTTLED, results["throttled"])
    yield _table("Sweep", SWEEP, results["sweep"])
    yield _table("More processes", SCALE_OUT, results["scale_out"])
    shares = [{"name": name, "share": share} for name, share in profile["owners"].items()]
    whose: Columns = {"whose code": lambda r: r["name"], "share of the processor time": lambda r: percent(r["share"])}
    yield _table(f"Profile: {profile['samples']:,} looks", whose, shares)
    yield _table("Profile: functions that take most", FUNCTIONS, profile["functions"])
    yield _table("Profile: and of ours", FUNCTIONS, profile["ours"][:5])


def _goals(results: Row) -> Iterator[Row]:
    """What was asked for, what came of it, and whether that is enough."""
    for row in results["single"]:
        yield {
            "goal": f"a single rotation within 1.15 of its critical path, leases {row['leases']}",
            "result": f"{row['median']:.2f} in the median of {len(row['rotations'])}, {row['worst']:.2f} at worst",
            "met": row["median"] <= 1.15,
        }
    yield {
        "goal": "independent requests of one rotation overlap",
        "result": "held by a test, by the order in the simulator's journal",
        "met": True,
    }
    for row in results["fleet"]:
        if row["accounts"] == 1000:
            ratio = row["wall"] / row["limit"]
            yield {
                "goal": f"1,000 accounts at {row['width']} at once within 1.25 of the limit, leases {row['leases']}",
                "result": f"{ratio:.2f}",
                "met": ratio <= 1.25,
            }
    yield from _goals_of_quotas(results["throttled"])
    *_, most = results["sweep"]
    peaks = [row["peak"] for row in results["sweep"]]
    yield {
        "goal": "a sweep is one listing pass",
        "result": f"{most['requests']} requests for {most['secrets']:,} secrets, {most['queued']} due",
        "met": most["requests"] * PAGE <= most["secrets"],
    }
    yield {
        "goal": "a sweep's memory is flat",
        "result": f"{', '.join(f'{peak:.0f}' for peak in peaks)} MB",
        "met": max(peaks) <= 1.1 * min(peaks),
    }
    workers = [str(row["workers"]) for row in results["scale_out"]]
    yield {
        "goal": "each account rotated exactly once by several workers",
        "result": f"by {', '.join(workers)}",
        "met": all(row["exactly_once"] and row["opens"] for row in results["scale_out"]),
    }
    minutes = results["seconds"] / 60
    yield {"goal": "ten minutes on two processors", "result": f"{minutes:.1f}", "met": minutes <= 10}


def _goals_of_quotas(rows: Sequence[Row]) -> Iterator[Row]:
    yield {
        "goal": "throttled: at least 85 % of the quota",
        "result": ", ".join(percent(row["useful"]) for row in rows),
        "met": all(row["useful"] >= 0.85 for row in rows),
    }
    yield {
        "goal": "throttled: fewer than 5 % of the requests refused",
        "result": ", ".join(percent(row["throttled"]) for row in rows),
        "met": all(row["throttled"] < 0.05 for row in rows),
    }
    yield {
        "goal": "throttled: no account failed, each rotated once",
        "result": f"{sum(row['failed'] for row in rows)} failed",
        "met": all(row["failed"] == 0 and row["exactly_once"] and row["opens"] for row in rows),
    }


def seconds(value: float | None) -> str:
    """One decimal; nothing where it was not measured."""
    return "" if value is None else f"{value:.1f}"


def percent(share: float) -> str:
    """A share as people read it."""
    return f"{100 * share:.1f} %"


def yes(value: bool) -> str:  # noqa: FBT001  it is what is shown
    """A failure stands out."""
    return "yes" if value else "**NO**"


def _table(title: str, columns: Columns, rows: Iterable[Row]) -> str:
    below = ([str(show(row)) for show in columns.values()] for row in rows)
    lines = [list(columns), ["---"] * len(columns), *below]
    return "\n".join((f"## {title}", "", *(f"| {' | '.join(line)} |" for line in lines)))


def _work(rows: Sequence[Row]) -> str:
    """How many requests of each kind a rotation takes."""
    columns: dict[str, Callable[[Any], object]] = {"for each rotation": lambda kind: kind}
    for row in rows:
        columns[row["name"]] = lambda kind, work=row["work"]: f"{work.get(kind, 0.0):.2f}"  # type: ignore[misc]
    return _table("Instead of this: requests", columns, rows[-1]["work"])


def _kilobytes(rows: Sequence[Row]) -> float:
    few, many = rows
    return float(1024 * (many["peak"] - few["peak"]) / (many["accounts"] - few["accounts"]))


def main(results: Path) -> None:
    """Print all tables of a file."""
    print("\n\n".join(markdown(json.loads(results.read_text()))))  # noqa: T201  what it is for


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS)
