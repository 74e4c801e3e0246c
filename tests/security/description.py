"""The description of the HTTP functions, as tools read it."""

from pathlib import Path
from typing import Any

import schemathesis
from schemathesis.checks import CHECKS
from schemathesis.schemas import BaseSchema

PATH = Path(__file__).parents[2] / "docs/openapi.yaml"
PLATFORM = {"401"}
"""What the Functions platform answers before the app is asked."""


def description() -> BaseSchema:
    """Read the description."""
    return schemathesis.openapi.from_path(PATH)


def operations() -> dict[str, Any]:
    """The operations by the functions that carry them out."""
    results: list[Any] = [*description().get_all_operations()]
    found = [result.ok() for result in results]
    return {operation.definition.raw["operationId"]: operation for operation in found}


def checks(*names: str) -> Any:
    """What is looked at in an answer, by the names that schemathesis has for it."""
    return CHECKS.get_by_names([*names])
