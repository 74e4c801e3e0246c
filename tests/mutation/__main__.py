"""Changes every expression of the files that decide, one at a time, and says which changes no test noticed.

    python -m tests.mutation

Exits with 1 when one that survives is not accepted with a reason in `accepted.py`, or when one that is accepted there
does not survive any more.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.mutation.accepted import ACCEPTED, Change

ROOT = Path(__file__).parents[2]
COPIED = ("rotation", "tests")


def main() -> int:
    """Hunt, compare with what is accepted, and print the difference."""
    tried, survived = hunt()
    wrong = complaints(survived)
    print(*wrong, f"{tried} changes tried, {survived.total()} unnoticed", sep="\n")  # noqa: T201  what it is for
    return int(bool(wrong))


def complaints(survived: Counter[Change], accepted: Mapping[str, Iterable[Change]] = ACCEPTED) -> list[str]:
    """What survived and is not accepted, and what is accepted and does not survive any more."""
    listed = Counter(change for changes in accepted.values() for change in changes)
    return [
        *(f"UNNOTICED: {change}" for change in (survived - listed).elements()),
        *(f"ACCEPTED, but noticed or gone: {change}" for change in (listed - survived).elements()),
    ]


def hunt() -> tuple[int, Counter[Change]]:
    """Let mutmut do its work in a copy of the project; how many changes were tried, and which survived."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)
        for folder in COPIED:
            shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        told = copy / "survivors.json"
        subprocess.run([sys.executable, "-m", "tests.mutation.hunt", told], cwd=copy, check=True)  # noqa: S603  ours
        tried, survivors = json.loads(told.read_text())
    return tried, Counter(Change(*survivor) for survivor in survivors)


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.partition("\n")[0]).parse_args()
    sys.exit(main())
