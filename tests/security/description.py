"""The description of the HTTP functions, as tools read it."""

from pathlib import Path
from typing import Any

import schemathesis
from schemathesis.schemas import APIOperation, BaseSchema

PATH = Path(__file__).parents[2] / "docs/openapi.yaml"
PLATFORM = {"401"}
"""What the Functions platform answers before the app is asked."""


def description() -> BaseSchema:
    """Read the description."""
    return schemathesis.openapi.from_path(PATH)


def operations() -> dict[str, "APIOperation[Any]"]:
    """The operations by the functions that carry them out."""
    found = [result.ok() for result in description().get_all_operations()]
    return {operation.definition.raw["operationId"]: operation for operation in found}
