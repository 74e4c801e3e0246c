"""Breaks every guard, one at a time, in a copy of the project, and says which test noticed.

    python -m tests.mutants [WORD]

WORD selects the guards that have it in their names. Exits with 1 when a guard can be broken unnoticed.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.mutants.guards import GUARDS, ROOT, Guard

COPIED = ("rotation", "simulator", "examples", "tests", "docs", "infra", ".ci", ".github")
FILES = (
    *("function_app.py", "host.json", "local.settings.sample.json", "pyproject.toml", "package.json", "azure.yaml"),
    *("requirements.txt", ".funcignore", "README.md", "SECURITY.md", "CHANGELOG.md", "Makefile"),
)
FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", re.MULTILINE)


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
    """Break one guard in a copy; the test that failed first, or None."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)
        for folder in COPIED:
            shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
        for file in FILES:
            shutil.copy(ROOT / file, copy / file)
        if (ROOT / "node_modules").exists():
            (copy / "node_modules").symlink_to(ROOT / "node_modules")
        breach(guard, copy)
        tests = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *guard.tests.split()]
        done = subprocess.run(tests, cwd=copy, capture_output=True, text=True, check=False)  # noqa: S603  our own tests
    if done.returncode == 0:
        return None
    if failed := FAILED.search(done.stdout):
        return failed[1]
    raise RuntimeError(f"{guard.name}: the tests could not be run\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def breach(guard: Guard, root: Path) -> None:
    """Put the broken text in the place of the guard; raises ValueError when it does not stand there once."""
    file = root / guard.file
    text = file.read_text()
    if text.count(guard.stands) != 1:
        raise ValueError(f"{guard.name}: its text stands {text.count(guard.stands)} times in {guard.file}")
    file.write_text(text.replace(guard.stands, guard.broken))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
