"""Azure Resource Manager for the three kinds of account; written from the official examples and recordings."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from simulator.accounts import BATCH, KINDS_BY_TYPE, STORAGE, WEBPUBSUB, Account, Key, Operation
from simulator.clock import real_time, running_time, stamp
from simulator.descriptions import described
from simulator.entra import Issuer
from simulator.formats import connection_string
from simulator.wire import Call, ServiceError, json_answer, request_ids, status_code
from simulator.world import World

ACCEPTED = 202
STATUS_RIGHTS = {
    False: "Microsoft.SignalRService/WebPubSub/operationStatuses/read",
    True: "Microsoft.SignalRService/locations/operationStatuses/webpubsub/read",
}
"""The right to see how an operation goes: at the account, and at its location."""
COMMON_HEADERS = {
    "Server": "Microsoft-HTTPAPI/2.0",
    "Cache-Control": "no-cache",
    "Pragma": "no-cache",
    "Expires": "-1",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "x-ms-ratelimit-remaining-subscription-writes": "1199",
}


@dataclass(frozen=True, slots=True)
class Request:
    """A call that passed authentication, in the world it was made in."""

    world: World
    call: Call
    client: dict[str, Any]


def answer(world: World, issuer: Issuer, call: Call) -> web.Response:
    """Answer a request to the management host."""
    try:
        response = _answer(world, issuer, call)
    except ServiceError as error:
        response = error.answer
    response.headers.update({**COMMON_HEADERS, **request_ids(call)})
    return response


def _answer(world: World, issuer: Issuer, call: Call) -> web.Response:
    if call.path == "/metadata/endpoints":
        return _metadata(world)
    request = Request(world, call, _authenticated(world, issuer, call))
    if "api-version" not in {name.lower() for name in call.query}:
        raise refused(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    return _route(request)


def failure(status: int, code: str | None) -> web.Response:
    """What Azure Resource Manager says for an error that has no story."""
    texts = {
        429: "The request is being throttled as the limit has been reached for operation type. "
        "For more information, see - https://aka.ms/srpthrottlinglimits",
        500: "The server encountered an internal error. Please retry the request.",
        503: "The service is temporarily unavailable. Please retry after some time.",
    }
    codes = {429: "TooManyRequests", 500: "InternalServerError", 503: "ServerTimeout"}
    code = code or codes.get(status) or status_code(status)
    return refused(status, code, texts.get(status, "The request could not be completed.")).answer


def refused(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> ServiceError:
    """An ARM error: `{"error": {"code", "message"}}`."""
    return ServiceError(json_answer({"error": {"code": code, "message": message}}, status, headers))


def _authenticated(world: World, issuer: Issuer, call: Call) -> dict[str, Any]:
    if "Authorization" not in call.headers:
        raise _unauthorized(
            world, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
        )
    claims = issuer.claims(call)
    if claims is None:
        raise _unauthorized(world, "InvalidAuthenticationToken", "The access token is invalid.")
    if claims["exp"] <= real_time():
        raise _unauthorized(world, "ExpiredAuthenticationToken", "The access token expiry time has passed.")
    if claims["tid"] != world.tenant:
        raise _unauthorized(world, "InvalidAuthenticationTokenTenant", "The access token is from the wrong issuer.")
    if claims["aud"] not in world.cloud.management_audiences:
        raise _unauthorized(
            world,
            "InvalidAuthenticationTokenAudience",
            f"The access token has been obtained for wrong audience or resource '{claims['aud']}'. It should "
            f"exactly match with one of the allowed audiences '{','.join(world.cloud.management_audiences)}'.",
        )
    return claims


def _unauthorized(world: World, code: str, message: str) -> ServiceError:
    challenge = (
        f'Bearer authorization_uri="https://{world.cloud.challenge_login}/{world.tenant}", '
        f'error="invalid_token", error_description="{message}"'
    )
    return refused(401, code, message, {"WWW-Authenticate": challenge})


def _route(request: Request) -> web.Response:
    parts = request.call.segments
    match [part.lower() for part in parts]:
        case ["tenants"]:
            return _require("GET", request, _tenants)
        case ["subscriptions"]:
            return _require("GET", request, _subscriptions)
        case ["subscriptions", subscription, *rest]:
            _check_subscription(request, subscription)
            return _in_subscription(request, rest)
    raise _no_route(request)


def _in_subscription(request: Request, rest: list[str]) -> web.Response:
    match rest:
        case []:
            return _require("GET", request, lambda asked: json_answer(_subscription(asked.world)))
        case ["providers", namespace, kind]:
            return _list(request, f"{namespace}/{kind}", group=None)
        case ["resourcegroups", group, "providers", namespace, kind]:
            return _list(request, f"{namespace}/{kind}", group=group)
        case ["providers", "microsoft.signalrservice", "locations", location, part, operation_id, "webpubsub", name]:
            return _on_operation(request, _at_location(request, location, name), part, operation_id, located=True)
        case ["resourcegroups", group, "providers", namespace, kind, name, *action]:
            return _on_account(request, _find(request, group, f"{namespace}/{kind}", name), action)
    raise _no_route(request)


def _require(method: str, request: Request, handler: Callable[[Request], web.Response]) -> web.Response:
    if request.call.method != method:
        raise _no_route(request)
    return handler(request)


def _no_route(request: Request) -> ServiceError:
    return refused(
        404,
        "InvalidResourceType",
        f"The resource type could not be found for '{request.call.method} {request.call.path}'.",
    )


def _check_subscription(request: Request, subscription: str) -> None:
    if subscription != request.world.subscription.lower():
        raise refused(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")


def _find(request: Request, group: str, resource_type: str, name: str) -> Account:
    world = request.world
    account = world.account(name)
    kind = KINDS_BY_TYPE.get(resource_type)
    if account and account.kind is kind and account.resource_group.lower() == group:
        return account
    if all(known.resource_group.lower() != group for known in world.accounts.values()):
        raise refused(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")
    raise refused(
        404,
        "ResourceNotFound",
        f"The Resource '{kind.resource_type if kind else resource_type}/{name}' under resource group "
        f"'{group}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
    )


def _on_account(request: Request, account: Account, action: list[str]) -> web.Response:
    asked = (request.call.method, *action)
    if asked == ("GET",):
        _permit(request, account, account.kind.read)
        return json_answer(described(account, request.world))
    if asked == ("POST", account.kind.list_action.lower()):
        _permit(request, account, account.kind.list_keys)
        _check_lock(account)
        _check_key_access(account)
        return json_answer(_keys_json(request, account))
    if asked == ("POST", account.kind.regenerate_action.lower()):
        _permit(request, account, account.kind.regenerate)
        _check_lock(account)
        _check_key_access(account)
        return _regenerate(request, account)
    match asked:
        case ("GET", "providers", "microsoft.authorization", "permissions"):
            return json_answer(_permissions(request.world, account))
        case ("GET", part, operation_id):
            return _on_operation(request, account, part, operation_id, located=False)
    raise _no_route(request)


def _at_location(request: Request, location: str, name: str) -> Account:
    account = request.world.account(name)
    if account is None or account.kind is not WEBPUBSUB or account.location.lower() != location:
        raise _no_route(request)
    return account


def _on_operation(request: Request, account: Account, part: str, operation_id: str, *, located: bool) -> web.Response:
    """An operation is told in one place only, and each place has a right of its own."""
    operation = account.operations.get(operation_id)
    if request.call.method != "GET" or operation is None or located is not request.world.behaviour.operations_located:
        raise _no_route(request)
    match part:
        case "operationstatuses":
            _permit(request, account, STATUS_RIGHTS[located])
            return json_answer(_operation_json(request.call.path, operation))
        case "operationresults":
            return _operation_result(request, account, operation)
    raise _no_route(request)


def _permit(request: Request, account: Account, action: str) -> None:
    if request.world.denied(action, account.name):
        raise refused(
            403,
            "AuthorizationFailed",
            f"The client '{request.client['appid']}' with object id '{request.client['oid']}' does not have "
            f"authorization to perform action '{action}' over scope '{account.id}' or the scope is invalid. "
            "If access was recently granted, please refresh your credentials.",
        )


def _check_lock(account: Account) -> None:
    if account.locked:
        raise refused(
            409,
            "ScopeLocked",
            f"The scope '{account.id}' cannot perform write operation because following scope(s) are locked: "
            f"'{account.id}'. Please remove the lock and try again.",
        )


def _check_key_access(account: Account) -> None:
    if account.kind is BATCH and not account.shared_keys:
        raise refused(
            403,
            "SharedKeyAuthenticationNotAllowed",
            "The specified type of authentication SharedKey is not allowed for this account.",
        )


def _regenerate(request: Request, account: Account) -> web.Response:
    body = request.call.json()
    field = "keyType" if account.kind is WEBPUBSUB else "keyName"
    asked = body.get(field) if isinstance(body, dict) else None
    if not isinstance(asked, str):
        raise refused(400, "InvalidRequestContent", f"The request content was invalid: '{field}' is required.")
    if account.kind is WEBPUBSUB:
        return _regenerate_later(request, account, asked)
    if account.kind is STORAGE and asked.lower() in ("kerb1", "kerb2"):
        raise refused(400, "InvalidKeyName", f"The key '{asked}' exists only on accounts joined to Active Directory.")
    request.world.regenerate(account, _slot(account, field, asked))
    return json_answer(_keys_json(request, account, fresh=True))


def _regenerate_later(request: Request, account: Account, asked: str) -> web.Response:
    world = request.world
    if account.running():
        raise refused(
            409,
            "Conflict",
            "Another operation is in progress on the resource. PrimaryKey and SecondaryKey cannot be "
            "regenerated at the same time.",
        )
    seconds = world.behaviour.operation_seconds
    operation = Operation({}, world.clock.now(), running_time() + seconds)
    # A new salt invalidates the clients' own tokens and leaves the keys alone.
    if asked.lower() != "salt":
        operation.keys[_slot(account, "keyType", asked)] = world.new_key(account, seconds)
    account.operations[operation.id] = operation
    version = request.call.query.get("api-version", "")
    return json_answer(
        _keys_json(request, account, fresh=True, promised=operation.keys),
        ACCEPTED,
        {
            header: f"https://{request.call.host}{_place(world, account, part, operation)}?api-version={version}"
            for header, part in (("Azure-AsyncOperation", "operationStatuses"), ("Location", "operationResults"))
        },
    )


def _slot(account: Account, field: str, asked: str) -> str:
    for slot in account.kind.slots:
        if slot.lower() == asked.lower():
            return slot
    allowed = ", ".join(account.kind.slots)
    raise refused(
        400, f"Invalid{field[0].upper()}{field[1:]}", f"The value '{asked}' of '{field}' is not one of: {allowed}."
    )


def _place(world: World, account: Account, part: str, operation: Operation) -> str:
    """Where an operation is told: at the account in all recordings, below the subscription in the official example."""
    if not world.behaviour.operations_located:
        return f"{account.id}/{part}/{operation.id}"
    provider, kind = WEBPUBSUB.resource_type.split("/")
    place = f"/subscriptions/{account.subscription}/providers/{provider}/locations/{account.location}"
    return f"{place}/{part}/{operation.id}/{kind}/{account.name}"


def _operation_json(path: str, operation: Operation) -> dict[str, Any]:
    body = {
        "id": path,
        "name": operation.id,
        "status": "Running" if operation.ended is None else "Succeeded",
        "startTime": stamp(operation.started),
    }
    return body if operation.ended is None else {**body, "endTime": stamp(operation.ended)}


def _operation_result(request: Request, account: Account, operation: Operation) -> web.Response:
    """Empty, as recorded: whoever wants the key has to list the keys."""
    if operation.ended is None:
        return web.Response(status=ACCEPTED, headers={"Location": request.call.url})
    _permit(request, account, account.kind.read)
    return web.Response(status=200)


def _keys_json(
    request: Request, account: Account, *, fresh: bool = False, promised: dict[str, Key] | None = None
) -> dict[str, Any]:
    moment = running_time() if fresh else request.world.list_moment()
    keys = {slot: line.at(moment) or line.first for slot, line in account.slots.items()} | (promised or {})
    if account.kind is STORAGE:
        return {
            "keys": [
                {"keyName": slot, "value": key.value, "permissions": "FULL", "creationTime": stamp(key.created)}
                for slot, key in keys.items()
            ]
        }
    values = {slot: key.value for slot, key in keys.items()}
    if account.kind is BATCH:
        return {"accountName": account.name, "primary": values["Primary"], "secondary": values["Secondary"]}
    return {
        "primaryKey": values["Primary"],
        "secondaryKey": values["Secondary"],
        "primaryConnectionString": connection_string(account, values["Primary"]),
        "secondaryConnectionString": connection_string(account, values["Secondary"]),
    }


def _list(request: Request, resource_type: str, group: str | None) -> web.Response:
    kind = KINDS_BY_TYPE.get(resource_type)
    if kind is None or request.call.method != "GET":
        raise _no_route(request)
    chosen = [
        described(account, request.world)
        for account in request.world.accounts.values()
        if account.kind is kind and group in (None, account.resource_group.lower())
    ]
    return json_answer({"value": chosen})


def _permissions(world: World, account: Account) -> dict[str, Any]:
    """Two roles, Reader and an operator role, less what is denied: wildcards in one, exact names in the other."""
    kind = account.kind
    denied = [action for action in kind.actions if world.denied(action, account.name)]
    empty: dict[str, list[str]] = {"dataActions": [], "notDataActions": []}
    return {
        "value": [
            {"actions": ["*/read"], "notActions": [action for action in denied if action.endswith("/read")], **empty},
            {"actions": [action for action in kind.actions if action not in denied], "notActions": [], **empty},
        ]
    }


def _tenants(request: Request) -> web.Response:
    tenant = request.world.tenant
    return json_answer(
        {
            "value": [
                {
                    "id": f"/tenants/{tenant}",
                    "tenantId": tenant,
                    "countryCode": "NL",
                    "displayName": "Contoso",
                    "domains": ["contoso.example"],
                    "tenantCategory": "Home",
                }
            ]
        }
    )


def _subscriptions(request: Request) -> web.Response:
    return json_answer({"value": [_subscription(request.world)], "count": {"type": "Total", "value": 1}})


def _subscription(world: World) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{world.subscription}",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionId": world.subscription,
        "tenantId": world.tenant,
        "displayName": "Contoso production",
        "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
    }


def _metadata(world: World) -> web.Response:
    cloud = world.cloud
    return json_answer(
        {
            "name": cloud.name,
            "resourceManager": f"https://{cloud.management}/",
            "authentication": {
                "loginEndpoint": f"https://{cloud.login}/",
                "audiences": list(cloud.management_audiences),
                "tenant": "common",
                "identityProvider": "AAD",
            },
            "suffixes": {"keyVaultDns": cloud.vault, "storage": cloud.storage},
        }
    )
