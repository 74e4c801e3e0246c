"""The page of reasons and the code have the same words, both ways."""

import re
from pathlib import Path

import pytest

from rotation.model import Action, Reason
from tests.unit.test_errors import NAMED
from tests.unit.test_policy import CASES

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reasons.md").read_text(encoding="utf-8")
REASONS, CODES = PAGE.split("## Codes of errors")


def rows(part: str) -> list[list[str]]:
    """Read the rows of the one table in a part of the page, without its head."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")
    ]
    return cells[2:]


def word(cell: str) -> str:
    """Take the word out of its code marks."""
    return cell.removeprefix("`").removesuffix("`")


def test_every_reason_has_one_row_and_every_row_a_reason() -> None:
    """An operator who meets a reason in a log finds it here, and finds nothing that never happens."""
    assert sorted(word(row[0]) for row in rows(REASONS)) == sorted(Reason)


def test_every_code_has_one_row_and_every_row_a_code() -> None:
    """The same for the codes of errors."""
    assert sorted(word(row[0]) for row in rows(CODES)) == sorted(kind.code for kind in NAMED)


@pytest.mark.parametrize("part", [REASONS, CODES], ids=["reasons", "codes"])
def test_every_row_answers_every_question(part: str) -> None:
    """What it means, what happens next, what to do: each is a sentence."""
    answers = [cell for row in rows(part) for cell in row[2:]]

    assert {len(row) for row in rows(part)} == {5}
    assert [cell for cell in answers if not re.fullmatch(r"[A-Z`].*\.", cell)] == []


def test_the_actions_of_a_reason_are_those_that_judging_gives() -> None:
    """Each reason stands with the actions that the table of verdicts meets it with."""
    given = {reason: {case.action.value for case in CASES.values() if case.reason is reason} for reason in Reason}
    given[Reason.ENROLLED] = {Action.PUBLISH.value}

    assert {word(row[0]): set(row[1].split(" or ")) for row in rows(REASONS)} == given


def test_every_exit_code_is_the_errors_own() -> None:
    """What a script sees is what the page says."""
    codes = {kind.code: kind for kind in NAMED}

    assert [row[0] for row in rows(CODES) if int(row[1]) != codes[word(row[0])].exit_code] == []


def test_only_pages_that_exist_are_linked() -> None:
    """A link that leads nowhere is worse than none."""
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)]+)\)", PAGE)]

    assert targets
    assert [target for target in targets if target and not (DOCS / target).exists()] == []
