"""What the host is told about the functions."""

import ast
from pathlib import Path
from typing import Any

import pytest

from tests.functions.fresh import fresh
from tests.functions.harness import App

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[2]
QUEUE = {"type": "queue", "direction": "OUT", "queueName": "rotation-work", "connection": "AzureWebJobsStorage"}
HTTP = {"type": "http", "direction": "OUT"}
BINDINGS: dict[str, list[dict[str, Any]]] = {
    "sweep": [
        {"type": "timerTrigger", "direction": "IN", "schedule": "%ROTATION_SCHEDULE%", "runOnStartup": False},
        QUEUE,
    ],
    "audit": [
        {"type": "timerTrigger", "direction": "IN", "schedule": "%ROTATION_AUDIT_SCHEDULE%", "runOnStartup": False},
        QUEUE,
    ],
    "near_expiry": [{"type": "eventGridTrigger", "direction": "IN"}, QUEUE],
    "rotate_now": [
        {
            "type": "httpTrigger",
            "direction": "IN",
            "methods": ["POST"],
            "authLevel": "FUNCTION",
            "route": "rotate/{vault}/{secret}",
        },
        QUEUE,
        HTTP,
    ],
    "status": [
        {"type": "httpTrigger", "direction": "IN", "methods": ["GET"], "authLevel": "FUNCTION", "route": "status"},
        HTTP,
    ],
    "rotate_account": [{**QUEUE, "type": "queueTrigger", "direction": "IN"}],
}


async def test_there_are_six_functions(loaded: App) -> None:
    """No more and no fewer."""
    assert BINDINGS.keys() == loaded.functions.keys()


@pytest.mark.parametrize("name", BINDINGS)
async def test_each_function_has_its_bindings(loaded: App, name: str) -> None:
    """Trigger, outputs and their settings are those that the host reads; parameters may be called anything."""
    found = [{k: v for k, v in binding.items() if k != "name"} for binding in loaded.functions[name].bindings]
    assert sorted(BINDINGS[name], key=_type) == sorted(found, key=_type)


async def test_no_function_lets_a_cancellation_out() -> None:
    """The worker would send no answer, and the host wait for one to the time limit."""
    tree = ast.parse((ROOT / "function_app.py").read_text())
    functions = [node for node in tree.body if isinstance(node, ast.AsyncFunctionDef)]
    around = [[ast.unparse(decorator) for decorator in function.decorator_list[-2:]] for function in functions]

    assert [["contained", "traced"]] * len(BINDINGS) == around


async def test_the_empty_app_of_the_benchmark_has_the_same(loaded: App) -> None:
    """Otherwise the benchmark would compare with something else."""
    told, _ = fresh(Path(__file__).parent / "empty")
    ours = {name: sorted(function.bindings, key=str) for name, function in loaded.functions.items()}
    assert ours == told["functions"]


def _type(binding: dict[str, Any]) -> str:
    return str(binding["type"])
