"""Web PubSub's data plane: REST calls that carry a token signed with an access key."""

from aiohttp import web

from simulator.accounts import WEBPUBSUB, Account
from simulator.signatures import web_pubsub_token_is_valid
from simulator.wire import Call, ServiceError, json_answer, request_ids, status_code
from simulator.world import World


def answer(world: World, call: Call) -> web.Response:
    """Answer a request to a Web PubSub service."""
    try:
        response = _answer(world, call)
    except ServiceError as error:
        response = error.answer
    response.headers.update(request_ids(call))
    return response


def failure(status: int, code: str | None) -> web.Response:
    """What Web PubSub says for an error that has no story."""
    return json_answer({"code": code or status_code(status), "message": "The request could not be completed."}, status)


def _answer(world: World, call: Call) -> web.Response:
    account = world.account(call.resource)
    if account is None or account.kind is not WEBPUBSUB:
        return web.Response(status=404)
    if call.path.rstrip("/") == "/api/health":
        return web.Response(status=200)
    _authenticate(world, account, call)
    return _route(call)


def _authenticate(world: World, account: Account, call: Call) -> None:
    if not account.shared_keys or not web_pubsub_token_is_valid(call, account.accepted(world.clock.now())):
        raise ServiceError(web.Response(status=401, headers={"WWW-Authenticate": f'Bearer realm="{account.host}"'}))


def _route(call: Call) -> web.Response:
    match (call.method, *call.segments):
        case ("POST", "api", "hubs", _, ":send"):
            return web.Response(status=202)
        case ("POST", "api", "hubs", _, "groups" | "users" | "connections", _, ":send"):
            return web.Response(status=202)
        case ("POST", "api", "hubs", hub, ":generateToken"):
            return json_answer({"token": f"client-of-{hub}"})
        case ("HEAD", "api", "hubs", _, "connections" | "groups" | "users", _):
            return web.Response(status=404)
    return web.Response(status=404)
