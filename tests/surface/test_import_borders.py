"""Imports go one way: the core knows nothing of Azure, the engine of no adapter, the simulator of nothing of ours."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

CORE = frozenset(
    {
        *("model", "tags", "policy", "errors", "report", "events", "durations"),
        *("formats", "messages", "orders", "quoting", "sieve"),
    }
)
ENGINE = frozenset(
    {"ports", "concurrency", "observe", "act", "rotate", "fleet", "enroll", "manifest", "status", "listings"}
)
OUTER = frozenset(
    {
        *("settings", "clock", "calls", "wiring", "__init__"),
        *("triggers", "containment", "replies", "telemetry", "tracing", "otlp"),
        *("cli", "commands", "console", "views", "doctor", "interrupts", "__main__"),
    }
)

ALLOWED = {
    "quoting": set[str](),
    "model": {"quoting"},
    "errors": set[str](),
    "durations": set[str](),
    "formats": {"model"},
    "tags": {"durations", "model"},
    "events": {"errors", "model"},
    "messages": {"durations", "errors", "model", "tags"},
    "orders": {"durations", "errors", "model", "quoting", "tags"},
    "policy": {"durations", "model", "tags"},
    "report": {"errors", "model", "tags"},
    "sieve": {"model", "tags"},
    "ports": {"model"},
    "concurrency": set[str](),
    "observe": {"concurrency", "errors", "formats", "model", "ports", "tags"},
    "act": {"concurrency", "errors", "formats", "model", "observe", "policy", "ports", "report", "tags"},
    "rotate": {"act", "errors", "listings", "model", "observe", "policy", "ports", "report"},
    "fleet": {
        *(
            "concurrency",
            "errors",
            "listings",
            "model",
            "observe",
            "policy",
            "ports",
            "report",
            "rotate",
            "sieve",
            "tags",
        ),
    },
    "enroll": {"errors", "fleet", "formats", "model", "observe", "policy", "ports", "report", "tags"},
    "manifest": {"errors", "model", "ports", "tags"},
    "listings": {"ports"},
    "status": {"model", "observe", "policy", "ports", "report", "tags"},
}
"""What each module of the core and the engine may import of ours."""


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports, in full."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            yield from (
                f"{node.module}.{alias.name}" if node.module in ("rotation", "simulator") else str(node.module)
                for alias in node.names
            )


def ours(file: Path) -> set[str]:
    """The modules of `rotation` that a file imports, by the first part of their names."""
    return {name.split(".")[1] for name in imports(file) if name.startswith("rotation.")}


def test_every_module_has_its_place() -> None:
    """A new module has to be put into the core, the engine or the rim, and so under the rules below."""
    modules = {file.stem for file in (ROOT / "rotation").glob("*.py")}

    assert CORE | ENGINE | OUTER == modules
    assert CORE | ENGINE == ALLOWED.keys()


@pytest.mark.parametrize("module", sorted(CORE | ENGINE))
def test_the_core_and_the_engine_need_the_standard_library_alone(module: str) -> None:
    """Deciding and ordering can be read, tested and started without Azure."""
    foreign = {name.split(".")[0] for name in imports(ROOT / f"rotation/{module}.py")} - {"rotation"}

    assert set() == foreign - sys.stdlib_module_names
    assert set() == ours(ROOT / f"rotation/{module}.py") - ALLOWED[module]


@pytest.mark.parametrize("module", sorted(CORE))
def test_the_core_does_not_wait(module: str) -> None:
    """No await, clock or environment where things are decided."""
    tree = ast.parse((ROOT / f"rotation/{module}.py").read_text())
    waiting = [node for node in ast.walk(tree) if isinstance(node, (ast.Await, ast.AsyncFunctionDef))]
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}

    assert [] == waiting
    assert set() == names & {"now", "utcnow", "today", "environ", "getenv"}
    assert set() == set(imports(ROOT / f"rotation/{module}.py")) & {"os", "time", "asyncio", "random"}


def test_adapters_know_nothing_of_the_engine() -> None:
    """The adapters stand behind the ports; they neither judge nor order anything."""
    files = [*(ROOT / "rotation/cloud").glob("*.py"), *(ROOT / "rotation/providers").glob("*.py")]

    assert files
    for file in files:
        assert set() == ours(file) & (ENGINE - {"ports"} | {"policy", "cli", "wiring"}), file


@pytest.mark.parametrize(("folder", "stranger"), [("simulator", "rotation"), ("rotation", "simulator")])
def test_the_simulator_and_the_product_share_no_code(folder: str, stranger: str) -> None:
    """A judge that imports what it judges proves nothing, and neither does a walk that finds nothing."""
    files = list((ROOT / folder).rglob("*.py"))
    imported = {name.split(".")[0] for file in files for name in imports(file)}

    assert len(files) > 20
    assert {folder, "aiohttp"} <= imported
    assert stranger not in imported
