"""Runs the functions of an app folder in this process, with the worker library that runs them in Azure.

The library keeps its functions in a registry of its own, so a process can load one app only.
"""

import importlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import uuid4

from tests.functions.wire import ParameterBinding, StatusResult, TypedData, request
from tests.heard import note

NEEDED = 0x030D0000
OLD = "the worker library of Azure Functions needs Python 3.13; install it, then run `make clean setup`"
OLD_PYTHON = sys.hexversion < NEEDED
"""Whether these tests cannot run; not told by `version_info`, since mypy would not check what follows."""

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
"""What the host says of the invocation's span; one without OpenTelemetry says that it is not sampled."""
TIME = "2026-01-02T03:04:05+00:00"

Json = dict[str, Any]


class LoadError(Exception):
    """The worker library could not index the app; says what it answered."""


class EscapedError(Exception):
    """An exception left an HTTP function; the host answers 500 and nothing else."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function as the host sees it."""

    name: str
    id: str
    bindings: tuple[Json, ...]

    @property
    def trigger(self) -> Json:
        """The binding that starts it."""
        (found,) = (binding for binding in self.bindings if binding["type"].lower().endswith("trigger"))
        return found

    def output(self, name: str) -> Json:
        """The output binding of a parameter."""
        (found,) = (binding for binding in self.bindings if binding["name"] == name)
        return found


@dataclass(frozen=True, slots=True)
class Asked:
    """An HTTP request as the host passes it on."""

    method: str
    route: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an HTTP function answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """The media type without its parameters."""
        return next((v for k, v in self.headers.items() if k.lower() == "content-type"), "").partition(";")[0]

    def json(self) -> Any:
        """Parse the body."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Invocation:
    """How one invocation ended."""

    error: str | None = None
    """Type, message and traceback of the exception that left the function."""
    answer: Answer | None = None
    outputs: Mapping[str, list[str]] = field(default_factory=dict)
    """The queue messages by the parameter that they were set through."""

    def answered(self) -> Answer:
        """Return the HTTP answer; raises EscapedError where the host would answer 500."""
        if self.answer is None:
            raise EscapedError(self.error)
        return self.answer

    @property
    def messages(self) -> list[str]:
        """The queue messages of all outputs."""
        return [message for messages in self.outputs.values() for message in messages]


class App:
    """The functions of one folder."""

    def __init__(self, library: ModuleType, functions: Mapping[str, Function]) -> None:
        self._library = library
        self.functions = functions

    async def close(self) -> None:
        """Close what the app holds open, which the host never does: it ends the process."""
        await sys.modules["function_app"].triggers().close()

    async def http(self, name: str, asked: Asked) -> Invocation:
        """Invoke an HTTP function."""
        path = self.functions[name].trigger["route"].format(**asked.route)
        data = SimpleNamespace(
            method=asked.method,
            url=f"http://localhost/api/{path}" + (f"?{asked.query}" if asked.query else ""),
            headers=dict(asked.headers),
            params=dict(asked.route),
            query=dict(parse_qsl(asked.query)),
            body=TypedData(bytes=asked.body),
        )
        return await self.invoke(name, TypedData(http=data), {})

    async def post(self, name: str, route: Mapping[str, str], body: object = None, query: str = "") -> Answer:
        """POST JSON to an HTTP function, or bytes as they are, or nothing."""
        return (await self.ordered(name, route, body, query)).answered()

    async def ordered(self, name: str, route: Mapping[str, str], body: object = None, query: str = "") -> Invocation:
        """Do the same, for those who want to see its messages too."""
        told = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return await self.http(name, Asked("POST", route, query, told, {"content-type": "application/json"}))

    async def get(self, name: str, **query: str) -> Answer:
        """GET from an HTTP function."""
        return (await self.http(name, Asked("GET", query=urlencode(query)))).answered()

    async def timer(self, name: str, *, past_due: bool = False) -> Invocation:
        """Let a timer fire."""
        told = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": {"Last": TIME, "LastUpdated": TIME, "Next": TIME},
            "IsPastDue": past_due,
        }
        return await self.invoke(name, TypedData(json=json.dumps(told)), {})

    async def event(self, name: str, event: Json) -> Invocation:
        """Deliver one event, as the host does with each of a batch."""
        return await self.invoke(name, TypedData(json=json.dumps(event)), {})

    async def message(self, name: str, text: str, dequeue_count: int = 1) -> Invocation:
        """Hand over one queue message."""
        metadata = {
            "Id": TypedData(string=str(uuid4())),
            "PopReceipt": TypedData(string="receipt"),
            "DequeueCount": TypedData(json=str(dequeue_count)),
            **{
                name: TypedData(json=json.dumps(TIME))
                for name in ("InsertionTime", "ExpirationTime", "NextVisibleTime")
            },
        }
        return await self.invoke(name, TypedData(string=text), metadata)

    async def invoke(self, name: str, data: TypedData, metadata: Mapping[str, TypedData]) -> Invocation:
        """Invoke a function with the value of its trigger."""
        function = self.functions[name]
        told = SimpleNamespace(
            invocation_id=str(uuid4()),
            function_id=function.id,
            input_data=[ParameterBinding(name=function.trigger["name"], data=data)],
            trigger_metadata=metadata,
            trace_context=SimpleNamespace(trace_parent=TRACE, trace_state="", attributes={}),
            retry_context=SimpleNamespace(retry_count=0, max_retry_count=0, exception=None),
        )
        response = await self._library.invocation_request(request(invocation_request=told))
        return note(_invocation(response))  # type: ignore[no-any-return]  # it gives back what it was given


async def load(folder: Path) -> App:
    """Index the app in a folder that is on the path of modules; raises LoadError as the host would refuse it."""
    library = importlib.import_module("azure_functions_runtime")
    library.start_threadpool_executor()
    told = SimpleNamespace(capabilities={}, function_app_directory=str(folder))
    started = await library.worker_init_request(request(worker_init_request=told))
    if started.result.status != StatusResult.Success:
        raise LoadError(started.result.exception.message)
    listed = await library.functions_metadata_request(request())
    return App(
        library,
        {
            found.name: Function(found.name, found.function_id, tuple(json.loads(raw) for raw in found.raw_bindings))
            for found in listed.function_metadata_results or ()
        },
    )


def _invocation(response: Any) -> Invocation:
    if response.result.status != StatusResult.Success:
        raised = response.result.exception
        return Invocation(error=f"{raised.message}\n{raised.stack_trace}")
    outputs = {output.name: _messages(output.data) for output in response.output_data}
    returned = response.return_value
    return Invocation(answer=_answer(returned.http) if returned is not None else None, outputs=outputs)


def _messages(data: TypedData) -> list[str]:
    """The messages in a queue output: the host makes several of a JSON array, also of one in a string."""
    text = data.string if data.WhichOneof("data") == "string" else data.json
    try:
        parsed = json.loads(text)
    except ValueError:
        return [text]
    if not isinstance(parsed, list):
        return [text]
    return [element if isinstance(element, str) else json.dumps(element) for element in parsed]


def _answer(http: SimpleNamespace) -> Answer:
    body = http.body
    kind = body.WhichOneof("data") if body is not None else None
    content = getattr(body, kind) if kind else b""
    return Answer(int(http.status_code), http.headers, content if isinstance(content, bytes) else content.encode())
