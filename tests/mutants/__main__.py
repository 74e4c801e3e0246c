"""Breaks every guard, one at a time, in a copy of the project, and says which test noticed.

    python -m tests.mutants [WORD]

WORD selects the guards that have it in their names. Exits with 1 when a guard can be broken unnoticed: when no
assertion of its tests fails.
"""

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
    unnoticed = []
    chosen = [guard for guard in GUARDS if word in guard.name]
    for guard in chosen:
        noticed = hunt(guard)
        print(f"{guard.name:64}  {noticed or 'UNNOTICED'}", flush=True)  # noqa: T201  what it is for
        if noticed is None:
            unnoticed.append(guard)
    print(f"{len(chosen)} guards broken, {len(unnoticed)} unnoticed")  # noqa: T201  what it is for
    return int(bool(unnoticed) or not chosen)


def hunt(guard: Guard) -> str | None:
    """Break one guard in a copy; the test whose assertion failed first, or None.

    That test has to pass in the same copy as soon as the guard stands again.
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
        told = attempt(copy, *guard.tests.split())
        if told is None:
            return None
        if noticed := NOTICED.search(told):
            shutil.copy(ROOT / guard.file, copy / guard.file)
            if attempt(copy, noticed[1]) is not None:
                raise RuntimeError(f"{guard.name}: {noticed[1]} fails as well when nothing is broken")
            return noticed[1]
    print("\n".join(FAILED.findall(told)[:5]) or told[-2000:])  # noqa: T201  why it does not count
    return None


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
    sys.exit(main(*sys.argv[1:]))
