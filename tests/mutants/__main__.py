"""Breaks every guard, one at a time, in a copy of the project, and says which test noticed.

    python -m tests.mutants [WORD]

WORD selects the guards that have it in their names. Exits with 1 when a guard can be broken unnoticed: when no
assertion of its tests fails, or one that fails does not do so again, or does where nothing is broken.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.mutants.guards import GUARDS, ROOT, Guard
from tests.mutants.noticing import NOTICED

COPIED = ("rotation", "simulator", "examples", "bench", "tests", "docs", "infra", ".ci", ".github")
FILES = (
    *("function_app.py", "host.json", "local.settings.sample.json", "pyproject.toml", "package.json", "azure.yaml"),
    *("requirements.txt", ".funcignore", "README.md", "SECURITY.md", "CHANGELOG.md", "Makefile"),
)
FAILED = re.compile(r"^(?:FAILED|ERROR) (.+)$", re.MULTILINE)


def main(word: str = "") -> int:
    """Hunt, print, and say whether all guards are guarded."""
    missed = 0
    chosen = [guard for guard in GUARDS if word.casefold() in guard.name.casefold()]
    if not chosen:
        sys.exit(f"no guard has {word!r} in its name; they stand in tests/mutants/guards.py")
    for number, guard in enumerate(chosen, start=1):
        try:
            told = hunt(guard)
        except UnnoticedError as why:
            missed, told = missed + 1, f"UNNOTICED: {why}"
        print(f"{number:3} of {len(chosen)}  {guard.name:84}  {told}", flush=True)  # noqa: T201  what it is for
    print(f"{len(chosen)} guards broken, {missed} unnoticed")  # noqa: T201  what it is for
    return int(missed > 0)


class UnnoticedError(Exception):
    """No test noticed that a guard was broken, or not for that reason."""


def hunt(guard: Guard) -> str:
    """Break one guard in a copy and return the test whose assertion failed first; raises UnnoticedError.

    That test has to fail again, and to pass in the same copy as soon as the guard stands again.
    """
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)
        for folder in COPIED:
            shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
        for file in FILES:
            shutil.copy(ROOT / file, copy / file)
        if (ROOT / "node_modules").exists():
            (copy / "node_modules").symlink_to(ROOT / "node_modules")
        breach(guard, copy)
        told = attempt(copy, *guard.options, *guard.paths) or "every test passed"
        noticed = NOTICED.search(told)
        if noticed is None:
            raise UnnoticedError("\n".join(FAILED.findall(told)[:5]) or told[-2000:])
        if not NOTICED.search(attempt(copy, *guard.options, noticed[1]) or ""):
            raise UnnoticedError(f"{noticed[1]} failed once, and not again")
        shutil.copy(ROOT / guard.file, copy / guard.file)
        if why := attempt(copy, *guard.options, noticed[1]):
            raise UnnoticedError(f"{noticed[1]} fails as well where nothing is broken\n{why[-2000:]}")
        return noticed[1]


def attempt(copy: Path, *tests: str) -> str | None:
    """Run tests; what they printed, or None when all of them passed."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.mutants.noticing", *tests]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)  # noqa: S603  our own tests
    return (done.stdout + done.stderr) if done.returncode else None


def breach(guard: Guard, root: Path) -> None:
    """Put the broken text in the place of the guard; raises ValueError when it does not stand there once."""
    file = root / guard.file
    text = file.read_text()
    if text.count(guard.stands) != 1:
        raise ValueError(f"{guard.name}: its text stands {text.count(guard.stands)} times in {guard.file}")
    file.write_text(text.replace(guard.stands, guard.broken))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("word", nargs="?", default="", help="break only the guards that have it in their names")
    try:
        sys.exit(main(parser.parse_args().word))
    except KeyboardInterrupt:
        sys.exit("interrupted; the guards that were not told have not been tried")
