"""The page about the simulator names everything that can be said to it."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from simulator.clouds import CLOUDS
from simulator.formats import FORMATS
from simulator.journal import Entry
from simulator.running import simulator as running_simulator
from simulator.world import Behaviour, Latency

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "simulator.md").read_text()


def taken(module: str) -> set[str]:
    """The JSON fields that a module reads."""
    source = (ROOT / "simulator" / f"{module}.py").read_text()
    names = set(re.findall(r'\.(?:take|required|duration|number|inner|items|has)\(\s*"(\w+)"', source))
    return names | set(re.findall(r'_pattern\(reader, "(\w+)"\)', source))


@pytest.mark.parametrize(
    "names",
    [
        {field.name for part in (Behaviour, Latency) for field in fields(part)},
        {field.name for field in fields(Entry)},
        taken("estate"),
        taken("fleet"),
        taken("faults"),
        set(FORMATS),
        set(CLOUDS),
    ],
    ids=["behaviour", "journal", "estate", "fleet", "faults", "formats", "clouds"],
)
def test_every_field_is_documented(names: set[str]) -> None:
    """Whoever writes an estate, a fault or a test finds each field on the page."""
    assert len(names) >= 3
    assert {name for name in names if f"`{name}" not in PAGE} == set()


def test_every_variable_is_documented() -> None:
    """The environment is explained variable by variable."""
    with running_simulator({}) as running:
        names = set(running.env)

    assert len(names) > 10
    assert {name for name in names if f"`{name}`" not in PAGE} == set()
