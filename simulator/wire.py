"""A request and its answers, as the services see them."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from simulator.clouds import Plane


@dataclass(frozen=True, slots=True)
class Call:
    """One request to one service; `path` is as sent, still percent-encoded."""

    plane: Plane
    resource: str
    method: str
    host: str
    path: str
    query: Mapping[str, str]
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def url(self) -> str:
        """The URL exactly as the client asked for it."""
        return f"https://{self.host}{self.target}"

    @property
    def action(self) -> str:
        """What a request about a lease does, which neither its method nor its path tells; empty for all others."""
        return self.headers.get("x-ms-lease-action", "").lower()

    @property
    def segments(self) -> list[str]:
        """The parts of the path, decoded; a trailing slash does not count."""
        return [unquote(part) for part in self.path.strip("/").split("/")] if self.path.strip("/") else []

    def json(self) -> Any:  # noqa: ANN401  # whatever the client sent
        """The body as JSON, or None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class ServiceError(Exception):
    """The service answers with an error; carries the whole answer."""

    def __init__(self, answer: web.Response) -> None:
        super().__init__(answer.status)
        self.answer = answer


def json_answer(
    body: object,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    kind: str = "application/json; charset=utf-8",
) -> web.Response:
    """An answer with a JSON body."""
    text = json.dumps(body, separators=(",", ":")).encode()
    return web.Response(body=text, status=status, headers={"Content-Type": kind, **(headers or {})})


def request_ids(call: Call) -> dict[str, str]:
    """The identifiers by which Azure finds a request again."""
    echoed = call.headers.get("x-ms-client-request-id")
    ids = {"x-ms-request-id": str(uuid.uuid4())}
    return {**ids, "x-ms-client-request-id": echoed} if echoed else ids


def status_code(status: int) -> str:
    """A made-up but plausible error code for a status: `ServiceUnavailable` for 503."""
    try:
        return "".join(word.capitalize() for word in HTTPStatus(status).phrase.split())
    except ValueError:
        return "UnknownError"
