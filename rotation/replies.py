"""What a caller over HTTP is told: reports as JSON, and what went wrong as a problem document (RFC 9457)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from math import ceil
from urllib.parse import urlencode

from rotation.errors import (
    BadInput,
    BadSettings,
    Busy,
    CredentialUnavailable,
    Forbidden,
    NotFound,
    NotYetTrue,
    RotationError,
    Throttled,
    Transient,
    Unexpected,
    Untrusted,
)
from rotation.model import Request, SecretRef
from rotation.report import Json, Report

JSON = "application/json"
PROBLEM = "application/problem+json"

SOON = 60
"""Seconds after which a caller may ask again; a lease that nobody renews has ended by then."""

STATUS = (
    (BadInput, HTTPStatus.BAD_REQUEST),
    (NotFound, HTTPStatus.NOT_FOUND),
    (Busy, HTTPStatus.LOCKED),
    (NotYetTrue, HTTPStatus.ACCEPTED),
    (BadSettings, HTTPStatus.SERVICE_UNAVAILABLE),
    (Transient, HTTPStatus.SERVICE_UNAVAILABLE),
    (Forbidden, HTTPStatus.BAD_GATEWAY),
    (CredentialUnavailable, HTTPStatus.BAD_GATEWAY),
    (Untrusted, HTTPStatus.BAD_GATEWAY),
    (Unexpected, HTTPStatus.INTERNAL_SERVER_ERROR),
    (RotationError, HTTPStatus.CONFLICT),
)
"""Which error is which status; the first that fits counts."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer over HTTP, and the message that goes to the queue with it."""

    status: int
    document: Json
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str | None = None

    @property
    def text(self) -> str:
        """The body."""
        return json.dumps(self.document, indent=2)


def problem(error: RotationError, report: Report | None = None) -> Reply:
    """Say what went wrong; a report, where there is one, tells what had been done before."""
    return _problem(_status(error, report), error.code, str(error), _retry_after(error), report)


def reported(report: Report, ref: SecretRef) -> Reply:
    """Tell what came of one account, with the status that its outcome deserves."""
    outcome = report.outcomes[0]
    if outcome.error is not None:
        if _status(outcome.error) == HTTPStatus.ACCEPTED:
            return accepted(report.to_json(), ref)
        return problem(outcome.error, report)
    if outcome.exit_code and outcome.verdict is not None:
        # Of a vault that could not be listed, its own problem says who acts next.
        needs_a_person = report.exit_code > 1
        status = HTTPStatus.CONFLICT if needs_a_person else HTTPStatus.SERVICE_UNAVAILABLE
        pause = None if needs_a_person else SOON
        return _problem(status, outcome.verdict.reason, outcome.verdict.because, pause, report)
    return Reply(HTTPStatus.OK, report.to_json())


def accepted(document: Json, ref: SecretRef) -> Reply:
    """Say that it is not finished yet, and where to look."""
    look = f"/api/status?{urlencode({'vault': ref.vault, 'secret': ref.name})}"
    return Reply(HTTPStatus.ACCEPTED, {**document, "look": look}, headers={"Location": look, "Retry-After": str(SOON)})


def queued(reply: Reply, request: Request, message: str) -> Reply:
    """The same with the message that goes to the queue, and how to see later what became of it."""
    return replace(reply, document={**reply.document, "next": _next(request)}, message=message)


def _next(request: Request) -> str:
    # Asked for again, a role may mean another key by then.
    signs = [
        f"the leaked key {leaked.fingerprint} works for as long as `look`, with &deep=true, tells that fingerprint"
        for leaked in request.suspects or ()
    ]
    if not request.compromised:
        again = f"asked for again with request_id {request.id} it is not done twice"
        signs = [f"{again}, and `already-done` says that it was carried out"]
    if not signs:
        signs = ["no key is there that was meant and that anybody was given; `look` tells how the account stands"]
    return "; ".join(("the queue goes on with it", *signs))


def unfinished(error: NotYetTrue, report: Report) -> Reply:
    """Say that it is not finished, where the queue does not go on with it."""
    return _problem(HTTPStatus.SERVICE_UNAVAILABLE, error.code, str(error), SOON, report)


def to_be_repeated(reply: Reply, request: Request) -> Reply:
    """The same for who insists: of what failed, nobody else goes on with as much as was asked for."""
    if reply.status < HTTPStatus.BAD_REQUEST or not request.insists:
        return reply
    first = "" if "Retry-After" in reply.headers else "after putting that right, "
    again = f"{first}ask again with request_id {request.id}"
    if request.compromised:
        # A role means the keys of that moment: by then another pass may have given it to a good one.
        meant = ", ".join(f"{leaked.slot} {leaked.fingerprint}" for leaked in request.suspects or ())
        named = f" ({meant})" if meant else ""
        again = (
            f"another pass may replace the leaked key{named}; only while /api/status?deep=true tells its fingerprint, "
            f"{again} and the role that stands beside it"
        )
    detail = f"{reply.document['detail']}; it is not in the queue: {again}"
    return replace(reply, document={**reply.document, "detail": detail, "request_id": request.id})


def _problem(status: HTTPStatus, code: str, detail: str, retry_after: int | None, report: Report | None) -> Reply:
    complaints = detail.splitlines()
    document: dict[str, object] = {"title": status.phrase, "status": status.value, "code": code, "detail": detail}
    if len(complaints) > 1:
        document["errors"] = complaints
    if report is not None:
        document["report"] = report.to_json()
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Reply(status, document, PROBLEM, headers)


def _status(error: RotationError, report: Report | None = None) -> HTTPStatus:
    if report is not None and isinstance(error, NotFound):
        # Of the secret in the address it is known that it is there.
        return HTTPStatus.CONFLICT
    return next(status for kind, status in STATUS if isinstance(error, kind))


def _retry_after(error: RotationError) -> int | None:
    if isinstance(error, Throttled) and error.retry_after is not None:
        return ceil(error.retry_after)
    return SOON if isinstance(error, Transient) else None
