"""The zip that is deployed: what is in it, and that it runs where nothing else is."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from zipfile import ZipFile

import pytest

from simulator.client import ControlClient
from tests.functions.estate import VAULTS, estate
from tests.functions.fresh import ROOT, fresh
from tests.functions.harness import OLD, OLD_PYTHON
from tests.functions.seeing import slots

LISTED = ("git", "ls-files", "--cached", "--others", "--exclude-standard")
UNCHECKED = b"\x01\x00\x00\x00"
"""The flags of bytecode that is never compared with its source (PEP 552)."""
PLATFORM = {"azure-functions-runtime", "azurefunctions-extensions-base", "azure-functions"}
"""What the platform brings along."""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The package, unpacked into a folder of its own."""
    place = tmp_path_factory.mktemp("deployed")
    zipped = place / "functions.zip"
    subprocess.run(["sh", ROOT / ".ci/package", sys.executable, zipped], check=True)  # noqa: S603, S607  our own script
    with ZipFile(zipped) as content:
        content.extractall(place / "wwwroot")
    yield place / "wwwroot"
    shutil.rmtree(place)


def test_the_package_is_what_funcignore_leaves(unpacked: Path) -> None:
    """Production files and nothing else, and the same ones that Core Tools would publish."""
    if not (ROOT / ".git").exists():
        pytest.skip("what belongs to the repository is told by git")
    listed = subprocess.run(LISTED, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603  git
    ignored = [line for line in (ROOT / ".funcignore").read_text().splitlines() if line and not line.startswith("#")]
    left = {
        path
        for path in listed.stdout.split()
        if path != ".funcignore"
        and not any(fnmatch(path, i) or any(fnmatch(part, i) for part in Path(path).parts) for i in ignored)
    }

    found = {str(file.relative_to(unpacked)) for file in unpacked.rglob("*") if file.is_file()}
    assert left == {name for name in found if not name.endswith(".pyc")}
    assert {"function_app.py", "host.json", "requirements.txt"} == {name for name in left if "/" not in name}
    assert {"rotation"} == {name.partition("/")[0] for name in left if "/" in name}


def test_every_module_has_bytecode_that_survives_the_zip(unpacked: Path) -> None:
    """It is for this Python, and is used whatever the times of files are."""
    modules = sorted(unpacked.rglob("*.py"))
    assert modules
    for module in modules:
        (compiled,) = (module.parent / "__pycache__").glob(f"{module.stem}.*.pyc")
        assert MAGIC_NUMBER + UNCHECKED == compiled.read_bytes()[:8], module


@pytest.mark.skipif(OLD_PYTHON, reason=OLD)
def test_the_unpacked_package_rotates_an_account(unpacked: Path, simulator: ControlClient) -> None:
    """Its own files and the packages of requirements.txt are all it needs."""
    simulator.reset(estate())
    order = ["post", "rotate_now", {"vault": "kv-one", "secret": "secret-0"}]
    told, _ = fresh(unpacked, ["timer", "sweep"], order, ROTATION_VAULTS=",".join(VAULTS))

    assert 6 == len(told["functions"])
    assert [True, True] == [Path(file).is_relative_to(unpacked) for file in told["files"].values()]
    swept, rotated = told["results"]
    assert (None, 1) == (swept["error"], len(swept["messages"]))
    assert (200, {"changed": 1}) == (rotated["status"], rotated["body"]["counts"])
    assert ["key2"] == slots(simulator)
    locked = set(re.findall(r"^([a-z0-9-]+)==", (unpacked / "requirements.txt").read_text(), re.MULTILINE))
    assert set(told["distributions"]) - PLATFORM <= locked
