"""Traces of the app, as a collector receives them from the real worker library."""

import json
import os
import re
import time
from base64 import b64encode
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas

from rotation.clock import SystemClock
from simulator.client import ControlClient
from tests.collector import OURS, Collector, Seen
from tests.functions import leases
from tests.functions.estate import SETTINGS, estate
from tests.functions.fresh import ROOT, finish, fresh, start
from tests.functions.harness import OLD, OLD_PYTHON, TRACE
from tests.seeing import regenerates, slots
from tests.surface.leaks import leaked

pytestmark = pytest.mark.skipif(OLD_PYTHON, reason=OLD)

PATIENCE = 30.0
KEY = {"vault": "kv-one", "secret": "secret-0"}
SWEEP = ["timer", "sweep"]
FUNCTION_KEY = "n0t-a-re4l-functi0n-key"
HOST_TRACE, HOST_SPAN = TRACE.split("-")[1:3]
TOKEN = re.compile(r"eyJ[\w-]+\.eyJ")
"""How a token of Entra ID begins."""
LEASES = f"/{leases.CONTAINER}"
FOREVER = "3600"
"""Seconds; longer than any test waits."""


@pytest.fixture(autouse=True)
def due(simulator: ControlClient, azurite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One storage account that is due, and a place for leases."""
    simulator.reset(estate())
    leases.forget(azurite)
    monkeypatch.setenv("AzureWebJobsStorage", azurite)


def message() -> str:
    """A message of the queue for the account, asked for now."""
    told = {"version": 1, "asked": SystemClock().now().isoformat(), "account": None, "secrets": ["kv-one/secret-0"]}
    asked = {"trigger": "schedule", "id": "request-one", "occasion": None, "compromised": None, "grace": "PT15M"}
    return json.dumps({**told, "request": {**asked, "force": False}})


def logged(log: str, name: str) -> dict[str, Any]:
    """The one event of this name in what was logged, as it is told in a span."""
    lines = [json.loads(line) for line in log.splitlines() if f'"event": "rotation.{name}"' in line]
    (event,) = lines
    return {f"rotation.{field}": value for field, value in event.items() if field != "event"}


def unforeseen(log: str) -> list[str]:
    """The lines of the log that are no events."""
    return [line for line in log.splitlines() if not line.startswith('{"event": "rotation.')]


def ancestors(span: Seen, spans: list[Seen]) -> list[str]:
    """The names of the spans above a span."""
    for above in spans:
        if above.id == span.parent:
            return [above.name, *ancestors(above, spans)]
    return []


def test_a_sweep_is_told_below_the_span_of_the_host(simulator: ControlClient, traces: Collector) -> None:
    """In the trace of the host, though that was not sampled, with what the log tells of it."""
    _, log = fresh(ROOT, SWEEP, **SETTINGS, **traces.environment)
    swept = traces.ours()["rotation.sweep"]

    assert (HOST_TRACE, HOST_SPAN) == (swept.trace, swept.parent)
    assert logged(log, "sweep") == swept.attributes
    assert ("key-rotation", False) == (swept.service, swept.failed)
    assert len(simulator.journal()) == sum(span.request for span in traces.spans())


def test_the_work_on_an_account_is_a_span_with_its_requests_below(simulator: ControlClient, traces: Collector) -> None:
    """One span for each request that reached Azure, all of them below the attempt or below the listing before it."""
    _, log = fresh(ROOT, ["message", "rotate_account", message()], **SETTINGS, **traces.environment)
    spans, ours = traces.spans(), traces.ours()
    attempt, requests = ours["rotation.attempt"], [span for span in spans if span.request]

    assert ["key2"] == slots(simulator)
    assert {"rotation.attempt", "rotation.rotate_account"} == ours.keys()
    assert ours["rotation.rotate_account"].id == attempt.parent
    assert logged(log, "attempt") == attempt.attributes
    assert {HOST_TRACE} == {span.trace for span in spans}
    assert {"rotation.rotate_account"} == {ancestors(span, spans)[-1] for span in requests}
    assert attempt.attributes["rotation.calls"] == sum("rotation.attempt" in ancestors(s, spans) for s in requests)
    assert sorted(sent(simulator)) == sorted(told(span) for span in requests if LEASES not in told(span)[1])


def sent(simulator: ControlClient) -> list[tuple[str, str, int]]:
    """The requests that reached Azure."""
    return [(entry["method"], f"{entry['host']}{entry['path']}", entry["status"]) for entry in simulator.journal()]


def told(span: Seen) -> tuple[str, str, int]:
    """The request that a span tells."""
    of, url = span.attributes, urlsplit(span.attributes["url.full"])
    assert "" == url.query
    return of["http.request.method"], f"{url.netloc}{url.path}", of["http.response.status_code"]


def test_a_look_at_an_account_is_told_too(traces: Collector) -> None:
    """A dry run names the account and what would be done, though nothing is logged of it."""
    fresh(ROOT, ["post", "rotate_now", KEY, {"dry_run": True}], **SETTINGS, **traces.environment)
    attempt = traces.ours()["rotation.attempt"]

    assert ("planned", "rotate") == (attempt.attributes["rotation.status"], attempt.attributes["rotation.verdict"])


def test_a_failure_is_told_by_our_own_code_and_message(simulator: ControlClient, traces: Collector) -> None:
    """The account's span is marked as failed; the invocation, which answered, is not."""
    simulator.fault(path="/regenerateKey", when="before", status=403)
    _, log = fresh(ROOT, ["post", "rotate_now", KEY], **SETTINGS, **traces.environment)
    attempt, event = traces.ours()["rotation.attempt"], logged(log, "attempt")

    assert ("failed", "forbidden") == (event["rotation.status"], event["rotation.error"])
    assert (True, f"forbidden: {event['rotation.message']}") == (attempt.failed, attempt.why)
    assert not traces.ours()["rotation.rotate_now"].failed


def test_what_is_raised_to_the_queue_fails_the_invocation(traces: Collector) -> None:
    """With our own error, and with the event that the log has of it."""
    _, log = fresh(ROOT, ["message", "rotate_account", "rotate it"], **SETTINGS, **traces.environment)
    invocation, event = traces.ours()["rotation.rotate_account"], logged(log, "failed")

    assert (True, f"bad-input: {event['rotation.message']}") == (invocation.failed, invocation.why)
    assert {"rotation.failed": event} == invocation.events


def test_s6_no_secret_is_in_what_a_collector_receives(
    simulator: ControlClient, traces: Collector, azurite: str
) -> None:
    """Not one key that ever existed, signature of a lease container, function key, or token."""
    container = signed(azurite)
    text = f"AccountKey={simulator.keys()[-1]} echoed by the service"
    answer = json.dumps({"error": {"code": "Echo", "message": text}})
    settings = {**SETTINGS, **traces.environment, "ROTATION_LEASES": container}
    order = ["post", "rotate_now", KEY, {"compromised": "both", "grace": "PT0S"}, f"code={FUNCTION_KEY}"]
    signature = parse_qs(urlsplit(container).query)["sig"][0]
    secrets = [signature, FUNCTION_KEY, os.environ["IDENTITY_HEADER"], "sig=", "Bearer"]

    swept, _ = fresh(ROOT, SWEEP, **settings)
    fresh(ROOT, ["message", "rotate_account", swept["results"][0]["messages"][0]], order, **settings)
    simulator.fault(path="/regenerateKey", status=400, body=answer)
    fresh(ROOT, order, **settings)

    received = b"\n".join(traces.bodies).decode(errors="replace")
    keys = simulator.keys()
    assert {"rotation.sweep", "rotation.rotate_account", "rotation.rotate_now"} < {s.name for s in traces.spans()}
    assert [False, False, True] == [span.failed for span in traces.spans() if span.name == "rotation.attempt"]
    assert [span for span in traces.spans() if "/signed-leases/" in span.attributes.get("url.full", "")]
    assert len(keys) >= 4, "two of the account, and those that replaced them"
    assert [] == leaked(received, [*keys, *secrets])
    assert TOKEN.search(received) is None
    assert [] == [key for key in keys if any(form in received for form in encoded(key))]
    assert [] == [span for span in traces.spans() if span.scope != OURS and (span.why or span.events)]
    subscription = simulator.accounts()[0]["id"].split("/")[2]
    assert leaked(received, [subscription]), "a search that finds nothing must be able to find something"


def signed(azurite: str) -> str:
    """The address of a container for leases, with a signature that opens it."""
    with BlobServiceClient.from_connection_string(azurite) as service:
        name, key = service.account_name, service.credential.account_key
        with service.get_container_client("signed-leases") as container:
            container.create_container()
            signature = generate_container_sas(
                str(name),
                "signed-leases",
                key,
                permission=ContainerSasPermissions(read=True, write=True, create=True, list=True),
                expiry=SystemClock().now() + timedelta(hours=1),
            )
            return f"{container.url}?{signature}"


def encoded(key: str) -> set[str]:
    """A key as base64 has it, wherever in the encoded text it begins."""
    return {b64encode(b"." * lead + key.encode()).decode()[4:-4] for lead in range(3)}


@pytest.mark.parametrize(
    "variables", [{"OTEL_TRACES_SAMPLER": "parentbased_always_on"}, {"OTEL_SDK_DISABLED": "true"}], ids=list
)
def test_the_variables_of_opentelemetry_can_forbid_traces(
    simulator: ControlClient, traces: Collector, variables: dict[str, str]
) -> None:
    """A sampler that heeds the host leaves out what the host did not sample."""
    fresh(ROOT, ["post", "rotate_now", KEY], **SETTINGS, **traces.environment, **variables)

    assert ["key2"] == slots(simulator)
    assert [] == traces.bodies


def test_the_variables_of_opentelemetry_are_heeded(traces: Collector) -> None:
    """The name of the service, and what the collector wants to see in the headers."""
    variables = {"OTEL_SERVICE_NAME": "keys-of-contoso", "OTEL_EXPORTER_OTLP_HEADERS": "api-key=one%20two"}
    fresh(ROOT, SWEEP, **SETTINGS, **traces.environment, **variables)

    assert {"keys-of-contoso"} == {span.service for span in traces.spans()}
    assert {"one two"} == {headers["api-key"] for headers in traces.headers}


@pytest.mark.parametrize("on", [False, True])
def test_opentelemetry_is_imported_only_when_it_is_asked_for(traces: Collector, *, on: bool) -> None:
    """Without the variable neither it nor protobuf is, also not by the Azure SDKs."""
    variables = traces.environment if on else {"OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_SERVICE_NAME": "named"}
    done, _ = fresh(ROOT, SWEEP, ["post", "rotate_now", KEY], **SETTINGS, **variables)
    imported = {name for name in done["modules"] if name.startswith(("opentelemetry", "google.protobuf"))}

    assert on == bool(imported)
    assert on == bool(traces.bodies)


@pytest.mark.parametrize("trouble", ["refused", "silent", "unauthorized"])
def test_a_collector_in_trouble_harms_nothing(simulator: ControlClient, traces: Collector, trouble: str) -> None:
    """Whether it refuses connections, never answers, or lets nobody in: all is rotated, and one line is logged.

    Whoever waited for the collector would wait for an hour.
    """
    traces.status = 401 if trouble == "unauthorized" else 200
    if trouble == "silent":
        traces.listening.clear()
    url = "http://127.0.0.1:1" if trouble == "refused" else traces.url
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_TIMEOUT": FOREVER}
    again = ["post", "rotate_now", KEY, {"force": True}]
    done, log = fresh(ROOT, SWEEP, ["post", "rotate_now", KEY], again, again, **SETTINGS, **variables)

    assert [200, 200, 200] == [result["status"] for result in done["results"][1:]]
    assert 3 == regenerates(simulator)
    (line,) = unforeseen(log)
    assert line.startswith("the collector at OTEL_EXPORTER_OTLP_ENDPOINT does not take our traces")


@pytest.mark.parametrize(
    "variable", [{"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many"}, {"OTEL_BSP_SCHEDULE_DELAY": "0"}], ids=list
)
def test_a_variable_that_makes_no_sense_harms_nothing(
    simulator: ControlClient, traces: Collector, variable: dict[str, str]
) -> None:
    """There are no traces then, and one line says why."""
    _, log = fresh(ROOT, SWEEP, ["post", "rotate_now", KEY], **SETTINGS, **traces.environment, **variable)

    assert ["key2"] == slots(simulator)
    (line,) = unforeseen(log)
    assert line.startswith("there are no traces, ")


def test_s6_a_header_that_cannot_be_read_is_not_logged(traces: Collector) -> None:
    """It may be the key of the collector; the library would quote it."""
    variables = {"OTEL_EXPORTER_OTLP_HEADERS": "no=t4e,\u00e4-secret"}
    _, log = fresh(ROOT, SWEEP, **SETTINGS, **traces.environment, **variables)

    assert traces.bodies
    assert [] == unforeseen(log)


def test_what_was_told_survives_the_process(simulator: ControlClient, traces: Collector) -> None:
    """A worker that is killed in the middle of one invocation has sent the spans of the one before."""
    stall = simulator.fault(method="PUT", path="/secrets/", stall=True)
    variables: dict[str, Any] = {**SETTINGS, **traces.environment, "OTEL_BSP_SCHEDULE_DELAY": "3600000"}
    worker = start(ROOT, SWEEP, ["post", "rotate_now", KEY], **variables)
    assert simulator.hits(stall, wait=PATIENCE)
    worker.kill()
    worker.communicate()
    simulator.lift()

    assert {"rotation.sweep"} == traces.ours().keys()


def test_a_collector_that_comes_back_is_used_again(simulator: ControlClient, traces: Collector) -> None:
    """It refused the spans of one invocation, and takes in the background what the next one has told so far."""
    traces.status = 500
    stall = simulator.fault(method="PUT", path="/secrets/", stall=True)
    variables: dict[str, Any] = {**SETTINGS, **traces.environment, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    worker = start(ROOT, SWEEP, ["post", "rotate_now", KEY], **variables)
    assert simulator.hits(stall, wait=PATIENCE)
    traces.status = 200
    wait_for_more(traces)
    simulator.lift()
    done, _ = finish(worker)

    assert 200 == done["results"][1]["status"]
    assert {"rotation.attempt", "rotation.rotate_now"} < {span.name for span in traces.spans()}


def wait_for_more(traces: Collector) -> None:
    """Wait until spans have arrived that had not."""
    had, deadline = len(traces.bodies), time.monotonic() + PATIENCE
    while len(traces.bodies) == had:
        assert time.monotonic() < deadline
        time.sleep(0.02)
