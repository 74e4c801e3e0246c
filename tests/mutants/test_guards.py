"""The list of guards fits the code, so that the hunt breaks what it says."""

import ast
from pathlib import Path

import pytest

from rotation.policy import RULES
from tests.mutants.guards import GUARDS, ROOT, Guard, rules


@pytest.mark.parametrize("guard", GUARDS, ids=[guard.name for guard in GUARDS])
def test_a_guard_can_be_broken(guard: Guard) -> None:
    """Its text stands once where the list says, and what replaces it is still a program."""
    text = (ROOT / guard.file).read_text()

    assert 1 == text.count(guard.stands)
    assert guard.stands != guard.broken
    ast.parse(text.replace(guard.stands, guard.broken))
    assert [] == [path for path in guard.paths if not Path(ROOT / path).exists()]


def test_every_rule_but_the_last_is_a_guard() -> None:
    """A rule that nobody would miss has no place in the list."""
    assert [f"rule {rule.__name__}" for rule in RULES[:-1]] == [guard.name for guard in rules()]


def test_the_page_on_the_proof_counts_them() -> None:
    """Who reads it has not counted."""
    assert f"{len(GUARDS)} guards" in (ROOT / "docs/proof.md").read_text()
