"""Batch's data plane: enough to see whether a key opens the account."""

from aiohttp import web

from simulator.accounts import BATCH
from simulator.signatures import batch_string_to_sign, is_recent, matches, shared_key
from simulator.wire import Call, ServiceError, json_answer, request_ids, status_code
from simulator.world import World

KIND = "application/json;odata=minimalmetadata"


def answer(world: World, call: Call) -> web.Response:
    """Answer a request to a Batch account."""
    try:
        _authenticate(world, call)
        response = _route(call)
    except ServiceError as error:
        response = error.answer
    response.headers.update({**request_ids(call), "DataServiceVersion": "3.0"})
    return response


def failure(status: int, code: str | None) -> web.Response:
    """What Batch says for an error that has no story."""
    codes = {429: "TooManyRequests", 500: "InternalError", 503: "ServerBusy"}
    return refused(
        status, code or codes.get(status) or status_code(status), "The request could not be completed."
    ).answer


def refused(status: int, code: str, message: str) -> ServiceError:
    """A Batch error, in the form of OData."""
    body = {
        "odata.metadata": "https://batch.azure.com/$metadata#Microsoft.Azure.Batch.Protocol.Entities.Container.errors/@Element",
        "code": code,
        "message": {"lang": "en-US", "value": message},
    }
    return ServiceError(json_answer(body, status, kind=KIND))


def _authenticate(world: World, call: Call) -> None:
    account = world.account(call.resource)
    if account is None or account.kind is not BATCH or account.host != call.host:
        raise refused(404, "AccountNotFound", "The specified account does not exist.")
    if not account.shared_keys:
        raise refused(
            403,
            "AuthenticationFailed",
            "The specified type of authentication SharedKey is not allowed for this account.",
        )
    signed = shared_key(call)
    date = call.headers.get("ocp-date") or call.headers.get("Date")
    if signed is None or signed[0].lower() != account.name.lower() or not is_recent(date):
        raise _authentication_failed()
    if not matches(batch_string_to_sign(call, signed[0]), signed[1], account.accepted(world.clock.now())):
        raise _authentication_failed()


def _authentication_failed() -> ServiceError:
    return refused(
        403,
        "AuthenticationFailed",
        "Server failed to authenticate the request. Make sure the value of Authorization header is formed "
        "correctly including the signature.",
    )


def _route(call: Call) -> web.Response:
    match (call.method, *call.segments):
        case ("GET", "pools" | "applications" | "jobs"):
            metadata = f"https://{call.host}/$metadata#{call.segments[0]}"
            return json_answer({"odata.metadata": metadata, "value": []}, kind=KIND)
        case ("GET", "pools", pool):
            raise refused(404, "PoolNotFound", f"The specified pool does not exist: {pool}.")
    raise refused(404, "ResourceNotFound", "The specified resource does not exist.")
