"""The list of accepted changes fits the code, so that none of them outlives what it was accepted for."""

import ast
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from tests.mutation.__main__ import complaints
from tests.mutation.accepted import ACCEPTED, Change

ROOT = Path(__file__).parents[2]
CHANGES = [change for changes in ACCEPTED.values() for change in changes]


@pytest.mark.parametrize("change", CHANGES, ids=[f"{change.function}: {change.broken}" for change in CHANGES])
def test_what_was_accepted_still_stands(change: Change) -> None:
    """In that function, as it was looked at when it was accepted."""
    file, *names = change.function.split(".")
    text = (ROOT / f"rotation/{file}.py").read_text()
    found: ast.AST = ast.parse(text)
    for name in names:
        found = next(node for node in ast.iter_child_nodes(found) if getattr(node, "name", None) == name)

    assert change.stands in " ".join((ast.get_source_segment(text, found) or "").split())
    assert change.stands != change.broken


def test_what_survives_has_to_be_what_was_accepted() -> None:
    """As often as it was, so that a second change of the same words is looked at as well."""
    known, other = Change("policy.due", "a", "b"), Change("policy.due", "a", "c")

    assert [] == complaints(Counter([known]), {"because": [known]})
    assert [f"UNNOTICED: {other}"] == complaints(Counter([known, other]), {"because": [known]})
    assert [f"UNNOTICED: {known}"] == complaints(Counter([known, known]), {"because": [known]})
    assert [f"ACCEPTED, but noticed or gone: {known}"] == complaints(Counter(), {"because": [known]})


def test_what_is_changed_and_what_has_to_notice_exists() -> None:
    """A path that nobody has would leave a file untried, or a test unasked."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
    paths = told["only_mutate"] + told["pytest_add_cli_args_test_selection"]

    assert [] == [path for path in paths if not (ROOT / path).exists()]
    assert {f"rotation/{name}.py" for name in ("policy", "tags", "rotate", "act")} <= set(paths)


def test_the_page_on_the_proof_counts_them() -> None:
    """Who reads it has not counted."""
    assert f" changes, {len(CHANGES)} unnoticed" in (ROOT / "docs/proof.md").read_text()
