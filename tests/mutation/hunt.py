"""Lets mutmut do its work in a copy of the project, and writes to a file which changes no test noticed.

    python -m tests.mutation.hunt survivors.json

What is changed, and which tests have to notice, stands in `pyproject.toml`.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import libcst as cst
from mutmut.__main__ import cli
from mutmut.configuration import config
from mutmut.mutation import mutators
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code


def conditions(node: cst.If | cst.CompIf) -> Iterator[cst.If | cst.CompIf]:
    """Force a condition either way; most guards are one, and mutmut leaves alone those that are a mere name or call."""
    asked = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    for operator, answer in ((cst.And(), "False"), (cst.Or(), "True")):
        yield node.with_changes(test=cst.BooleanOperation(asked, operator, cst.Name(answer)))


def survivors() -> tuple[int, list[tuple[str, str, str]]]:
    """How many mutants there were, and of each that survived the function, what stood there, and what was put there."""
    tried, unnoticed = 0, []
    for path in config().only_mutate:
        found = SourceFileMutationData(path=path)
        found.load()
        tried += len(found.exit_code_by_key)
        for name, code in found.exit_code_by_key.items():
            if status_by_exit_code[code] != "killed":
                diff = get_diff_for_mutant(name, path=path).splitlines()[3:]
                unnoticed.append((_function(name), _lines(diff, "-"), _lines(diff, "+")))
    return tried, unnoticed


def _function(mutant: str) -> str:
    """`tags._Fields.get` of `rotation.tags.xǁ_Fieldsǁget__mutmut_7`."""
    name = mutant.removeprefix("rotation.").partition("__mutmut_")[0]
    return name.replace(".x_", ".", 1).replace(".xǁ", ".").replace("ǁ", ".")


def _lines(diff: list[str], sign: str) -> str:
    """What was taken away, or put there; where it stands is left out, since that moves."""
    return " ".join(line[1:].strip() for line in diff if line.startswith(sign))


if __name__ == "__main__":
    operators = mutators.mutation_operators
    assert isinstance(operators, list)
    operators += [(cst.If, conditions), (cst.CompIf, conditions)]
    cli(["run"], standalone_mode=False)
    Path(sys.argv[1]).write_text(json.dumps(survivors()))
