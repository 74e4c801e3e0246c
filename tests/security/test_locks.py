"""The lock files leave nothing open: what is installed is what was looked at, wherever it comes from."""

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.txt", "tests/requirements.txt")
PINNED = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[0-9][0-9A-Za-z.+]*)(?P<where> ; [^\\]+)?")


def locked(lock: str) -> set[tuple[str, str]]:
    """The packages of a lock file with their versions; each entry has to be a version and its hashes, and no more."""
    entries = (ROOT / lock).read_text().replace("\\\n", " ").splitlines()
    found = set()
    for entry in entries:
        package, *hashes = re.split(r"\s+--hash=", entry.strip())
        pinned = PINNED.fullmatch(package)
        assert pinned, entry[:100]
        assert hashes, package
        assert [] == [told for told in hashes if not re.fullmatch(r"sha256:[0-9a-f]{64}", told)]
        found.add((pinned["name"], pinned["version"]))
    return found


@pytest.mark.parametrize("lock", [*LOCKS, ".ci/audit.txt"])
def test_everything_is_pinned_by_its_hash(lock: str) -> None:
    """No address, no index, no range: nobody can put another file in the place of a package."""
    assert len(locked(lock)) > 20


def test_what_is_deployed_is_what_is_tested() -> None:
    """In the same versions, which are the ones that are installed here."""
    deployed, tested = (locked(lock) for lock in LOCKS)

    assert deployed <= tested
    # There are two versions of what is locked for old and new versions of Python.
    assert set() == {name for name, _ in deployed if installed(name) and (name, installed(name)) not in deployed}


def installed(name: str) -> str | None:
    """The version that is installed here; None for what another platform needs."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def test_what_is_deployed_is_what_is_audited() -> None:
    """`make audit` asks for every package of that file, and fails for one that nobody knows of."""
    script = (ROOT / ".ci/audit").read_text()

    assert "--requirement requirements.txt" in script
    assert {"--strict", "--disable-pip"} <= set(script.split())
    assert "--require-hashes --requirement .ci/audit.txt" in script
