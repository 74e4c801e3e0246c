"""What is measured: each function is one part of the report and returns its rows."""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench import limit
from bench.azure import azure, requests_of
from bench.engine import AT_ONCE, CONNECTION
from bench.measure import ROOT, Cost, python, run
from rotation.triggers import SCHEDULES
from simulator.running import Running
from tests import emulator

Row = dict[str, Any]

WIDTH = 64
CLI = ROOT / ".venv/az/bin/az"

IN_PROCESS, ON_BLOBS = "in the process", "on blobs"
"""Where leases are: as the command line has them by default, and as the app has them."""
LEASES = "AzureWebJobsStorage"


def rivals(accounts: int) -> list[Row]:
    """The same estate rotated by what a user would pick instead, and by us."""
    rows = []
    with emulator.azurite() as storage:
        for name, threads in (("script", 1), (f"script, {WIDTH} threads", WIDTH)):
            with azure(accounts, kinds=min(3, accounts)) as running:
                with _due(running) as due:
                    cost = python("bench.script", threads, env=running.env, stdin=due)
                row = _row(name, accounts, cost, running, threads)
                # What the kernel counts is the first thread's, which waits for the others here.
                rows.append(row if threads == 1 else {**row, "waited": None})
        with azure(accounts, kinds=min(3, accounts)) as running:
            cost = python("bench.engine", "fleet", WIDTH, env={**running.env, LEASES: storage})
            rows.append(_row("ours", accounts, cost, running, WIDTH, ours=True))
    return rows


def command_line(accounts: int) -> list[Row]:
    """The same by a shell script over the Azure CLI, where there is one; without Web PubSub, which it cannot rotate."""
    az = shutil.which("az", path=os.pathsep.join((str(CLI.parent), os.environ["PATH"])))
    if az is None:
        return []
    with azure(accounts, kinds=min(2, accounts)) as running, tempfile.TemporaryDirectory() as folder:
        own = {"AZURE_CONFIG_DIR": folder, "AZURE_CORE_COLLECT_TELEMETRY": "0", "AZURE_CORE_NO_COLOR": "1"}
        env = {**os.environ, **running.env, **own, "PATH": f"{Path(az).parent}{os.pathsep}{os.environ['PATH']}"}
        subprocess.run([az, "login", "--identity"], env=env, stdout=subprocess.DEVNULL, check=True)  # noqa: S603  of the user
        running.control.clear_journal()
        lines = "".join(f"{' '.join(secret[f] for f in LINE)}\n" for secret in _secrets(running))
        with _file(lines) as due:
            cost = run(("sh", "bench/cli.sh"), env, stdin=due)
        # Its first process is a shell that waits for others.
        return [{**_row("Azure CLI", accounts, cost, running, 1), "waited": None}]


LINE = ("kind", "group", "account", "idle", "vault", "name")


def single(leases: str, accounts: int = 23) -> Row:
    """One rotation after the other in a process that is warm, each against its own chain."""
    with _leases(leases) as held, azure(accounts, vaults=1) as running:
        took = python("bench.engine", "single", env={**running.env, **held}).told["took"]
        chains = limit.chains(requests_of(running))
    ratios = {name: wall / chains[name] for name, wall in took.items()}
    return {
        "leases": leases,
        "rotations": [{"account": name, "wall": wall, "limit": chains[name]} for name, wall in took.items()],
        "wall": statistics.mean(took.values()),
        "limit": statistics.mean(chains[name] for name in took),
        "median": statistics.median(ratios.values()),
        "worst": max(ratios.values()),
    }


def fleet(accounts: int, width: int, leases: str = IN_PROCESS) -> Row:
    """All accounts of a fleet at once."""
    with _leases(leases) as held, azure(accounts) as running:
        cost = python("bench.engine", "fleet", width, env={**running.env, **held})
        row = _row("ours", accounts, cost, running, width, ours=True)
    return {**row, "leases": leases, "due": cost.told["due"]}


def profile(accounts: int, width: int) -> Row:
    """What the processor time of a fleet run is spent on."""
    with azure(accounts) as running:
        told = python("bench.engine", "profile", width, env=running.env).told
    return {"accounts": accounts, **{part: told[part] for part in ("samples", "owners", "functions", "ours")}}


def throttled(kinds: list[str], accounts: int, speed: float, width: int = WIDTH) -> Row:
    """A fleet in a subscription whose quotas bound it, `speed` times as large a second as Azure's."""
    generated = {"generate": {"accounts": dict.fromkeys(kinds, accounts), "vaults": 10, "due": 1.0}}
    with azure(0) as running:
        running.control.reset(generated)
        behaviour = {"latency": {"control": 0.15, "vault": 0.03, "data": 0.02, "spread": 0.3}, "operation_seconds": 0}
        running.control.behave(quotas=speed, **behaviour)
        told = python("bench.engine", "fleet", width, env=_vaults(running, 10)).told
        entries = requests_of(running)
        state = _state(running, told["due"])
    share = limit.share_of_quota(entries, speed, told["wall"])
    return {"kinds": kinds, "speed": speed, "accounts": told["due"], "wall": told["wall"], **share} | {
        "delivered_again": told["delivered_again"],
        "failed": told["failed"],
        **state,
    }


def sweep(secrets: int, due: int) -> Row:
    """One listing pass."""
    with azure(secrets, due=due / secrets) as running:
        cost = python("bench.engine", "sweep", env=running.env)
        entries = requests_of(running)
    return {
        "secrets": secrets,
        "requests": len(entries),
        **cost.told,
        "peak": cost.peak,
        "waited": cost.waited,
        "limit": limit.listing(entries),
    }


def scale_out(accounts: int, workers: int) -> Row:
    """Processes that share one queue and one container of leases."""
    with emulator.azurite() as storage, azure(accounts) as running:
        app = {LEASES: storage, **dict.fromkeys(SCHEDULES, "0 0 0 1 1 *")}
        env = {**running.env, **app, CONNECTION: storage}
        python("bench.engine", "fill", "work", env=env)
        running.control.clear_journal()
        with ThreadPoolExecutor(workers) as pool:
            costs = list(pool.map(lambda _: python("bench.engine", "worker", "work", env=env), range(workers)))
        entries = requests_of(running)
        state = _state(running, accounts)
    wall = max(cost.told["wall"] for cost in costs)
    return {
        "workers": workers,
        "accounts": accounts,
        "wall": wall,
        "cpu": sum(cost.told["cpu"] for cost in costs),
        "waited": statistics.mean(cost.waited for cost in costs),
        "limit": limit.by_concurrency(entries, workers * AT_ONCE, workers),
        "shares": sorted(cost.told["done"] for cost in costs),
        **state,
        "requests": len(entries),
    }


def _state(running: Running, accounts: int) -> Row:
    """What has become of the accounts, as the simulator tells it."""
    slots = [slot["regenerated"] for told in running.control.accounts() for slot in told["slots"].values()]
    return {
        "exactly_once": sorted(slots) == [0] * accounts + [1] * accounts,
        "opens": all(row["opens"] for row in running.control.verdict()),
    }


@contextlib.contextmanager
def _leases(where: str) -> Iterator[Mapping[str, str]]:
    if where == IN_PROCESS:
        yield {}
    else:
        with emulator.azurite() as storage:
            yield {LEASES: storage}


def _row(name: str, accounts: int, cost: Cost, running: Running, width: int, *, ours: bool = False) -> Row:  # noqa: PLR0913  a row has many parts
    entries = requests_of(running)
    wall = cost.told.get("wall", cost.wall)
    # Leases are not the simulator's, so that only we know of those requests.
    requests = cost.told["calls"] if ours else len(entries)
    work = Counter(map(limit.kind, entries)) + Counter({"hold the lease, sign in": requests - len(entries)})
    return {
        "name": name,
        "accounts": accounts,
        "width": width,
        # From the start of the program to its end: what is imported before the first request costs its user as well.
        "process": cost.wall,
        "process_cpu": cost.cpu / accounts,
        "wall": wall,
        "cpu": cost.told.get("cpu", cost.cpu) / accounts,
        "peak": cost.peak,
        "waited": cost.waited,
        "requests": requests / accounts,
        "work": {kind: count / accounts for kind, count in work.items()},
        "limit": limit.by_concurrency(entries, width),
        "opens": all(row["opens"] for row in running.control.verdict()),
        **({"failed": cost.told["failed"]} if ours else {}),
    }


def _vaults(running: Running, count: int) -> Mapping[str, str]:
    names = ",".join(vault["name"] for vault in running.control.request("GET", "/vaults")[:count])
    return {**running.env, "ROTATION_VAULTS": names}


def _secrets(running: Running) -> list[dict[str, str]]:
    secrets = []
    for told in running.control.verdict():
        state = running.control.account(told["account"].rpartition("/")[2])
        idle = next(slot for slot in state["slots"] if slot != told["slot"])
        group, account = state["id"].split("/")[4], state["name"]
        place = {"vault": told["vault"], "name": told["secret"], "group": group, "account": account}
        secrets.append({**place, "kind": state["type"], "idle": idle})
    return secrets


def _due(running: Running) -> contextlib.AbstractContextManager[int]:
    return _file(json.dumps(_secrets(running)))


@contextlib.contextmanager
def _file(text: str) -> Iterator[int]:
    with tempfile.TemporaryFile("w+") as file:
        file.write(text)
        file.seek(0)
        yield file.fileno()


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*map(json.loads, sys.argv[2:])), indent=1))  # noqa: T201  one part alone
