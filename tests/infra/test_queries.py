"""The queries of alerts and workbook ask for what the app logs, in the words of docs/functions.md."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.infra.bicep import INFRA, ROOT, read

PAGE = (ROOT / "docs/functions.md").read_text().partition("## What it logs")[2].partition("## Traces")[0]
EVENTS = set(re.findall(r"`(rotation\.[\w-]+)`", PAGE))
FIELDS = set(re.findall(r"`([a-z_]+)`", PAGE))
ALERTS = sorted((INFRA / "queries").glob("*.kql"))


def workbook() -> Iterator[tuple[str, str]]:
    """The queries of the workbook, with their names."""
    content = json.loads((INFRA / "workbook.content.json").read_text())
    return ((item["name"], item["content"]["query"]) for item in content["items"] if "query" in item["content"])


QUERIES = {**{path.stem: path.read_text() for path in ALERTS}, **dict(workbook())}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_queries_ask_for_what_is_logged(query: str) -> None:
    """An event or a field that is not there makes no error, only silence."""
    assert EVENTS
    assert set(re.findall(r'"(rotation\.[\w-]+)"', query)) <= EVENTS
    asked = set(re.findall(r"\be\.(\w+)", query)) | set(re.findall(r'\be\["(\w+)"\]', query))
    assert asked - {"event"} <= FIELDS


def test_the_page_has_every_event_and_field_that_is_logged() -> None:
    """The page is what queries are compared with, so it is compared with the code."""
    code = (ROOT / "rotation/telemetry.py").read_text() + (ROOT / "rotation/triggers.py").read_text()
    named = {f"rotation.{name}" for name in re.findall(r"""\bevent\(\s*"([\w-]+)\"""", code)}
    assert named
    assert EVENTS - {"rotation.sweep", "rotation.audit"} == named


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_brackets_are_closed(query: str) -> None:
    """As far as a query can be read here."""
    for opening, closing in ("()", "[]", "{}"):
        assert query.count(opening) == query.count(closing)
    assert 0 == query.count('"') % 2
    assert re.match(r"(?://.*\n)*(?:let \w+ = toscalar\([^;]+\);\n)?traces\n", query)


def test_every_query_of_an_alert_is_used() -> None:
    """Each rule has its own, by the same name."""
    rules: list[dict[str, Any]] = read("modules/alerts").variables["rules"]
    assert {path.stem for path in ALERTS} == {rule["name"] for rule in rules}
    for rule in rules:
        assert f"loadTextContent('../queries/{rule['name']}.kql')" == rule["query"]
        splits = "subject" in Path(INFRA / f"queries/{rule['name']}.kql").read_text()
        assert rule["bySubject"] is splits


def test_the_poison_queue_of_the_query_is_the_one_there_is() -> None:
    """The host's own words, and our queue's name."""
    (_, poison) = read("modules/storage").variables["queueNames"]
    assert f'"{poison}"' in QUERIES["rotation-poisoned"]


def test_the_workbook_shows_what_was_asked_for() -> None:
    """Days left, rotations over time, failures, and the age of both keys."""
    assert {"days-left", "rotations", "failures", "ages"} <= {name for name, _ in workbook()}
