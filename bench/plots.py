"""Draws the results, each as PNG and SVG."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

# So that the same numbers give the same files.
mpl.rcParams |= {"svg.hashsalt": "bench", "axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 110}


def draw(results: dict[str, Any], folder: Path) -> None:
    """All plots."""
    _rivals(results["rivals"], folder)
    _growth(results["growth"], folder)
    _sweep(results["sweep"], folder)
    _scale_out(results["scale_out"], folder)


def _rivals(rows: list[dict[str, Any]], folder: Path) -> None:
    many = [row for row in rows if row["accounts"] > 1]
    names = [f"{row['name']}\n{row['accounts']} accounts" for row in many]
    with _figure(folder, "rivals", "Seconds for each account") as axes:
        axes.barh(names, [row["process"] / row["accounts"] for row in many], label="whole program")
        axes.barh(names, [row["limit"] / row["accounts"] for row in many], height=0.4, label="limit of its requests")
        axes.set_xscale("log")
        axes.set_xlabel("seconds")
        axes.legend()


def _growth(rows: list[dict[str, Any]], folder: Path) -> None:
    accounts = [row["accounts"] for row in rows]
    with _figure(folder, "growth", "Time for each account, as the fleet grows") as axes:
        axes.plot(accounts, [1000 * row["wall"] / row["accounts"] for row in rows], "o-", label="wall")
        axes.plot(accounts, [1000 * row["cpu"] for row in rows], "s-", label="processor")
        axes.plot(accounts, [1000 * row["limit"] / row["accounts"] for row in rows], "--", label="limit")
        axes.set(xscale="log", xlabel="accounts", ylabel="milliseconds", ylim=(0, None))
        axes.legend()
    with _figure(folder, "memory", "Memory, as the fleet grows") as axes:
        axes.plot(accounts, [row["peak"] for row in rows], "o-")
        axes.set(xscale="log", xlabel="accounts", ylabel="megabytes at the most", ylim=(0, None))


def _sweep(rows: list[dict[str, Any]], folder: Path) -> None:
    secrets = [row["secrets"] for row in rows]
    with _figure(folder, "sweep", "A sweep's memory, as the vaults grow") as axes:
        axes.plot(secrets, [row["peak"] for row in rows], "o-")
        axes.set(xscale="log", xlabel="secrets", ylabel="megabytes at the most", ylim=(0, None))


def _scale_out(rows: list[dict[str, Any]], folder: Path) -> None:
    workers = [row["workers"] for row in rows]
    with _figure(folder, "scale-out", "Accounts a second, by workers on one queue") as axes:
        axes.plot(workers, [row["accounts"] / row["wall"] for row in rows], "o-", label="measured")
        axes.plot(workers, [row["accounts"] / row["limit"] for row in rows], "--", label="limit")
        axes.set(xlabel="workers", ylabel="accounts a second", ylim=(0, None), xticks=workers)
        axes.legend()


@contextmanager
def _figure(folder: Path, name: str, title: str) -> Iterator[Axes]:
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.set_title(title, loc="left")
    yield axes
    for kind in ("png", "svg"):
        figure.savefig(folder / f"{name}.{kind}", metadata={"Date": None} if kind == "svg" else None)
    plt.close(figure)
