"""What counts as noticed when a guard is broken."""

import shutil
from pathlib import Path

import pytest

from rotation.errors import LeaseLost
from tests.mutants.__main__ import attempt
from tests.mutants.guards import ROOT
from tests.mutants.noticing import NOTICED, asserted

OTHERWISE = """
import time
import pytest

@pytest.fixture
def unready():
    assert 1 == 2

def test_that_cannot_be_set_up(unready):
    pass

def test_that_knows_nothing_of_this_error():
    {}["key"]

@pytest.mark.timeout(0.1)
def test_that_hangs():
    time.sleep(60)
"""
AT_LAST = """
def test_that_notices():
    assert 1 == 2

def test_that_is_not_run_any_more():
    assert 1 == 2
"""


def test_a_failed_assertion_notices_and_nothing_before_it(tmp_path: Path) -> None:
    """What fails for any other reason might fail as well where nothing is broken."""
    told = ran(tmp_path, OTHERWISE + AT_LAST) or ""

    assert ["test_case.py::test_that_notices"] == NOTICED.findall(told)
    assert "test_that_hangs - Failed: Timeout" in told
    assert "test_that_is_not_run_any_more" not in told


def test_a_test_that_cannot_be_imported_notices_nothing(tmp_path: Path) -> None:
    """A file that is no program any more fails every test, and says nothing about a guard."""
    told = ran(tmp_path, "import nothing_of_that_name\n" + AT_LAST) or ""

    assert "ModuleNotFoundError" in told
    assert [] == NOTICED.findall(told)


def test_an_assertion_is_found_wherever_it_is() -> None:
    """Hypothesis raises several errors at once, and `pytest.raises` one of its own."""
    several = ExceptionGroup("", [KeyError(), ExceptionGroup("", [AssertionError()])])
    with pytest.raises(pytest.fail.Exception) as missed, pytest.raises(KeyError):
        pass

    assert asserted(several)
    assert asserted(LeaseLost())
    assert asserted(missed.value)
    assert not asserted(ExceptionGroup("", [KeyError()]))


def ran(folder: Path, text: str) -> str | None:
    """Run one file of tests as the hunt does, in a project of its own."""
    (folder / "tests/mutants").mkdir(parents=True)
    shutil.copy(ROOT / "tests/mutants/noticing.py", folder / "tests/mutants")
    (folder / "test_case.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p no:schemathesis -p no:asyncio\n")
    return attempt(folder, "test_case.py")
