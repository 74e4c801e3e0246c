"""How spans leave, where a process of its own would make no difference."""

import pytest
from opentelemetry.sdk.resources import SERVICE_NAME

from rotation import otlp
from tests.collector import Collector


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, "key-rotation"),
        ({"WEBSITE_SITE_NAME": "func-keys"}, "func-keys"),
        ({"WEBSITE_SITE_NAME": "func-keys", "OTEL_RESOURCE_ATTRIBUTES": "service.name=told,a=b"}, "told"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=told", "OTEL_SERVICE_NAME": "named"}, "named"),
    ],
    ids=["ours", "the app's", "attributes", "name"],
)
def test_a_service_has_the_name_that_the_environment_gives_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], name: str
) -> None:
    """OpenTelemetry's own variables come first, in its own order."""
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)

    assert name == otlp._resource().attributes[SERVICE_NAME]


def test_event_grid_has_its_answer_within_a_second() -> None:
    """However long a collector takes: nothing else of the function waits for anybody."""
    assert otlp.PATIENCE < 1


def test_a_collector_that_answers_too_late_is_not_waited_for_again(
    monkeypatch: pytest.MonkeyPatch, traces: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    """It counts as away, though it takes everything; the process says so once, and notes when it is in time again."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", traces.url)
    exporter = otlp._Exporter()
    away = []
    for patience in (0, 0, 60):
        monkeypatch.setattr(otlp, "PATIENCE", patience)
        exporter.export([])
        away.append(exporter.away)

    assert [True, True, False] == away
    assert ["rotation.tracing"] == [record.name for record in caplog.records]
