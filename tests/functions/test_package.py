"""The zip that is deployed: what is in it, and that it runs where nothing else is."""

import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from zipfile import ZipFile

import pytest

from simulator.client import ControlClient
from tests.functions.estate import SETTINGS, estate
from tests.functions.fresh import ROOT, fresh
from tests.functions.harness import OLD, OLD_PYTHON
from tests.integration.estates import SERVICES, SLOTS
from tests.seeing import slots

LISTED = ("git", "ls-files", "--cached", "--others", "--exclude-standard")
UNCHECKED = b"\x01\x00\x00\x00"
"""The flags of bytecode that is never compared with its source (PEP 552)."""
PLATFORM = re.compile(r"^(?:azure-functions-runtime|azurefunctions-extensions-base)==(?:.*\\\n)*.*$", re.MULTILINE)
"""What the platform brings along, as it is locked for the tests."""
SIMULATED = {"HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}
"""Variables that lead to the simulator, which has no packages."""


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


@pytest.fixture(scope="module")
def bare(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an environment of what the package and the platform lock, and a way to the harness; no more."""
    if OLD_PYTHON:
        pytest.skip(OLD)
    place = tmp_path_factory.mktemp("bare")
    (place / "tests").mkdir()
    for needed in ("functions", "heard.py"):
        (place / "tests" / needed).symlink_to(ROOT / "tests" / needed)
    platform = place / "platform.txt"
    platform.write_text("\n".join(PLATFORM.findall((ROOT / "tests/requirements.txt").read_text())))
    venv.create(place / "venv", symlinks=True)
    install(place / "venv", unpacked / "requirements.txt", platform)
    yield place
    shutil.rmtree(place)


def install(environment: Path, *locks: Path) -> None:
    """Install what is locked, by hash; skips where there is no registry to have it from."""
    pip = [sys.executable, "-m", "pip", "--python", str(environment), "install", "--quiet", "--require-hashes"]
    done = subprocess.run(  # noqa: S603  pip
        [*pip, "--retries=1", *(f"--requirement={lock}" for lock in locks)],
        env={name: value for name, value in os.environ.items() if name.upper() not in SIMULATED},
        capture_output=True,
        text=True,
        check=False,
    )
    if "(from versions: none)" in done.stderr:
        pytest.skip("no packages can be had here")
    assert 0 == done.returncode, done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_the_package_rotates_an_account_where_nothing_else_is(
    unpacked: Path, bare: Path, simulator: ControlClient, azurite: str, service: str
) -> None:
    """An environment made of its own requirements.txt, by hash, is all that it needs."""
    simulator.reset(estate(service))
    order = ["post", "rotate_now", {"vault": "kv-one", "secret": "secret-0"}]
    told, _ = fresh(
        unpacked,
        ["timer", "sweep"],
        order,
        python=str(bare / "venv/bin/python"),
        home=bare,
        PYTHONPATH="",
        AzureWebJobsStorage=azurite,
        **SETTINGS,
    )

    assert 6 == len(told["functions"])
    swept, rotated = told["results"]
    assert (None, 1) == (swept["error"], len(swept["messages"]))
    assert (200, {"changed": 1}) == (rotated["status"], rotated["body"]["counts"])
    assert [SLOTS[service][1]] == slots(simulator)
    assert [True, True] == [Path(file).is_relative_to(unpacked) for file in told["files"].values()]
    allowed = (unpacked, bare, Path(sys.base_prefix))
    assert [] == [place for place in told["path"] if not any(map(Path(place).is_relative_to, allowed))]
