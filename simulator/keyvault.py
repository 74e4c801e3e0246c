"""Key Vault's secrets, written from the official examples, the OpenAPI document and recordings."""

import base64
import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from simulator.clock import real_time, running_time
from simulator.entra import Issuer
from simulator.vaults import Secret, State, Vault, Version
from simulator.wire import Call, ServiceError, json_answer, request_ids, status_code
from simulator.world import World

ACTIONS = tuple(
    f"Microsoft.KeyVault/vaults/secrets/{right}"
    for right in (
        "getSecret/action",
        "setSecret/action",
        "readMetadata/action",
        "update/action",
        "delete",
        "recover/action",
        "purge/action",
    )
)
NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")
MAX_VALUE = 25 * 1024
MAX_CONTENT_TYPE = 255
MAX_TAGS = 15
MAX_TAG = 256
MAX_PAGE = 25
RECOVERABLE_DAYS = 90
COMMON_HEADERS = {
    "Cache-Control": "no-cache",
    "Pragma": "no-cache",
    "Expires": "-1",
    "x-ms-keyvault-service-version": "1.2.265.0",
    "x-ms-keyvault-network-info": "conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;",
    "X-Powered-By": "ASP.NET",
    "Strict-Transport-Security": "max-age=31536000;includeSubDomains",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Request:
    """A call that passed authentication and firewall, in the vault it names."""

    world: World
    vault: Vault
    call: Call
    client: dict[str, Any]

    @property
    def base(self) -> str:
        """The vault's URL, without a trailing slash."""
        return f"https://{self.vault.name}.{self.world.cloud.vault}"


def answer(world: World, issuer: Issuer, call: Call) -> web.Response:
    """Answer a request to a vault."""
    vault = world.vault(call.resource)
    if vault is None:
        return refused(404, "VaultNotFound", f"The vault '{call.resource}' was not found.").answer
    try:
        response = _route(_admitted(world, vault, issuer, call))
    except ServiceError as error:
        response = error.answer
    response.headers.update({**COMMON_HEADERS, **request_ids(call), "x-ms-keyvault-region": vault.location})
    return response


def _admitted(world: World, vault: Vault, issuer: Issuer, call: Call) -> Request:
    client = _authenticated(world, issuer, call)
    if vault.firewall:
        raise refused(
            403,
            "Forbidden",
            "Public network access is disabled and request is not from a trusted service nor via an "
            f"approved private link.\r\nCaller: {_caller(client)}\r\nVault: {vault.name};location={vault.location}",
            "ForbiddenByFirewall",
        )
    if "api-version" not in call.query:
        raise refused(400, "BadParameter", "The api-version query parameter is missing.")
    return Request(world, vault, call, client)


def needs_sign_in(call: Call) -> bool:
    """Whether the vault will answer with its challenge, whatever was asked."""
    return "Authorization" not in call.headers


def failure(status: int, code: str | None) -> web.Response:
    """What Key Vault says for an error that has no story."""
    codes = {401: "Unauthorized", 403: "Forbidden", 429: "Throttled", 500: "InternalServerError"}
    texts = {
        429: "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached",
    }
    code = code or codes.get(status) or status_code(status)
    return refused(status, code, texts.get(status, "The request could not be completed.")).answer


def refused(status: int, code: str, message: str, inner: str | None = None, **headers: str) -> ServiceError:
    """A Key Vault error: `{"error": {"code", "message", "innererror"?}}`."""
    error: dict[str, Any] = {"code": code, "message": message}
    if inner:
        error["innererror"] = {"code": inner}
    return ServiceError(json_answer({"error": error}, status, headers))


def _authenticated(world: World, issuer: Issuer, call: Call) -> dict[str, Any]:
    if needs_sign_in(call):
        raise _challenge(world, "Request is missing a Bearer or PoP token.")
    claims = issuer.claims(call)
    if claims is None:
        raise _challenge(world, "AKV10032: Invalid issuer.")
    if claims["exp"] <= real_time():
        raise _challenge(world, "AKV10046: The token is expired.")
    if claims["tid"] != world.tenant:
        raise _challenge(world, "AKV10032: Invalid issuer.")
    if claims["aud"] != f"https://{world.cloud.vault}":
        raise _challenge(world, f"AKV10022: Invalid audience. Expected https://{world.cloud.vault}.")
    return claims


def _challenge(world: World, message: str) -> ServiceError:
    where = f"https://{world.cloud.challenge_login}/{world.tenant}"
    challenge = f'Bearer authorization="{where}", resource="https://{world.cloud.vault}"'
    return refused(401, "Unauthorized", message, **{"WWW-Authenticate": challenge})


def _caller(client: dict[str, Any]) -> str:
    return f"appid={client['appid']};oid={client['oid']};iss={client['iss']}"


def _permit(request: Request, right: str, name: str | None = None) -> None:
    action = f"Microsoft.KeyVault/vaults/secrets/{right}"
    vault = request.vault
    if not request.world.denied(action, vault.name):
        return
    resource = (
        f"/subscriptions/{request.world.subscription}/resourcegroups/{vault.resource_group}"
        f"/providers/microsoft.keyvault/vaults/{vault.name}" + (f"/secrets/{name}" if name else "")
    )
    raise refused(
        403,
        "Forbidden",
        "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or "
        "role definitions were changed recently, please observe propagation time.\r\n"
        f"Caller: {_caller(request.client)}\r\nAction: '{action}'\r\nResource: '{resource}'\r\n"
        "Assignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: null \r\n"
        f"Vault: {vault.name};location={vault.location}\r\n",
        "ForbiddenByRbac",
    )


def _route(request: Request) -> web.Response:  # noqa: C901, PLR0911  # the routes, one by one
    match (request.call.method, *request.call.segments):
        case ("GET", "secrets"):
            return _list(request)
        case ("PUT", "secrets", name):
            return _set(request, _checked(name))
        case ("GET", "secrets", name):
            return _get(request, name, None)
        case ("DELETE", "secrets", name):
            return _delete(request, name)
        case ("GET", "secrets", name, "versions"):
            return _list_versions(request, name)
        case ("GET", "secrets", name, version):
            return _get(request, name, version)
        case ("PATCH", "secrets", name, *version):
            return _update(request, name, version[0] if version else None)
        case ("GET", "deletedsecrets"):
            return _list_deleted(request)
        case ("GET", "deletedsecrets", name):
            return _get_deleted(request, name)
        case ("DELETE", "deletedsecrets", name):
            return _purge(request, name)
        case ("POST", "deletedsecrets", name, "recover"):
            return _recover(request, name)
    raise refused(405, "BadParameter", f"{request.call.method} is not allowed for '{request.call.path}'.")


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise refused(
            400,
            "BadParameter",
            "The request URI contains an invalid name: " + name,
        )
    return name


def _set(request: Request, name: str) -> web.Response:
    _permit(request, "setSecret/action", name)
    body = _body(request, {"value": str, "contentType": str, "tags": dict, "attributes": dict})
    if "value" not in body:
        raise refused(400, "BadParameter", "Property 'value' is required.")
    if len(body["value"].encode()) > MAX_VALUE:
        raise refused(400, "BadParameter", f"The value exceeds the maximum size of {MAX_VALUE} bytes.")
    secret = request.vault.secrets.get(name.lower())
    known = secret.now if secret else None
    if known and known.deleted is not None:
        raise refused(
            409,
            "Conflict",
            f"Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused; "
            "in this state, the secret can only be recovered or purged.",
            "ObjectIsDeletedButRecoverable",
        )
    now = int(request.world.clock.now().timestamp())
    version = _changed(Version(body["value"], None, None, created=now, updated=now), body)
    state = known.with_version(version) if known else State((version,))
    request.vault.put(name, state, running_time())
    return json_answer({"value": version.value, **_bundle(request, name, version)})


def _get(request: Request, name: str, version_id: str | None) -> web.Response:
    _permit(request, "getSecret/action", name)
    version = _version(_seen(request, name), name, version_id)
    if not version.enabled:
        raise refused(403, "Forbidden", "Operation get is not allowed on a disabled secret.", "SecretDisabled")
    return json_answer({"value": version.value, **_bundle(request, name, version)})


def _update(request: Request, name: str, version_id: str | None) -> web.Response:
    _permit(request, "update/action", name)
    body = _body(request, {"contentType": str, "tags": dict, "attributes": dict})
    state = request.vault.live(name)
    version = _version(state, name, version_id)
    if state is None:
        raise _not_found(name)
    changed = replace(_changed(version, body), updated=int(request.world.clock.now().timestamp()))
    request.vault.put(name, state.with_changed(changed), running_time())
    return json_answer(_bundle(request, name, changed))


def _delete(request: Request, name: str) -> web.Response:
    _permit(request, "delete", name)
    state = request.vault.live(name)
    if state is None:
        raise _not_found(name)
    deleted = replace(state, deleted=int(request.world.clock.now().timestamp()))
    request.vault.put(name, deleted, running_time())
    return json_answer(_deleted_bundle(request, name, deleted))


def _get_deleted(request: Request, name: str) -> web.Response:
    _permit(request, "readMetadata/action", name)
    return json_answer(_deleted_bundle(request, name, _deleted(request, name)))


def _purge(request: Request, name: str) -> web.Response:
    _permit(request, "purge/action", name)
    _deleted(request, name)
    request.vault.secrets[name.lower()].become(None, running_time())
    return web.Response(status=204)


def _recover(request: Request, name: str) -> web.Response:
    _permit(request, "recover/action", name)
    state = replace(_deleted(request, name), deleted=None)
    request.vault.put(name, state, running_time())
    return json_answer(_bundle(request, name, state.current))


def _list(request: Request) -> web.Response:
    _permit(request, "readMetadata/action")
    moment = request.world.list_moment()

    def item(name: str, secret: Secret) -> dict[str, Any] | None:
        state = secret.at(moment)
        return _item(request, name, state.current) if state and state.deleted is None else None

    return _page_of_secrets(request, "secrets", item)


def _list_deleted(request: Request) -> web.Response:
    _permit(request, "readMetadata/action")

    def item(name: str, secret: Secret) -> dict[str, Any] | None:
        state = secret.now
        if state is None or state.deleted is None:
            return None
        return {**_item(request, name, state.current), **_deletion(request, name, state.deleted)}

    return _page_of_secrets(request, "deletedsecrets", item)


def _list_versions(request: Request, name: str) -> web.Response:
    """Every version, in no order that a client could rely on."""
    _permit(request, "readMetadata/action", name)
    state = _seen(request, name)
    if state is None:
        raise _not_found(name)
    size, offset = _paging(request)
    versions = sorted(state.versions, key=lambda version: version.id)
    items = [
        {"id": f"{_id(request, name)}/{version.id}", **_metadata(version)}
        for version in versions[offset : offset + size]
    ]
    more = offset + size if offset + size < len(versions) else None
    return _page(request, items, f"secrets/{name}/versions", more)


def _page_of_secrets(request: Request, path: str, item: Callable[[str, Secret], dict[str, Any] | None]) -> web.Response:
    size, offset = _paging(request)
    vault = request.vault
    items: list[dict[str, Any]] = []
    for position, (key, secret) in enumerate(itertools.islice(vault.secrets.items(), offset, None), offset):
        found = item(vault.names[key], secret)
        if found and len(items) == size:
            return _page(request, items, path, position)
        if found:
            items.append(found)
    return _page(request, items, path, None)


def _paging(request: Request) -> tuple[int, int]:
    asked = request.call.query.get("maxresults", str(MAX_PAGE))
    if not asked.isascii() or not asked.isdecimal() or not 1 <= int(asked) <= MAX_PAGE:
        raise refused(400, "BadParameter", f"The parameter maxresults has to be between 1 and {MAX_PAGE}.")
    token = request.call.query.get("$skiptoken")
    if token is None:
        return int(asked), 0
    try:
        return int(asked), int(json.loads(base64.urlsafe_b64decode(token))["NextMarker"])
    except (ValueError, KeyError, TypeError) as error:
        raise refused(400, "BadParameter", "The parameter $skiptoken is not valid.") from error


def _page(request: Request, items: list[dict[str, Any]], path: str, offset: int | None) -> web.Response:
    if offset is None:
        return json_answer({"value": items, "nextLink": None})
    token = base64.urlsafe_b64encode(json.dumps({"NextMarker": offset}).encode()).decode()
    size, _ = _paging(request)
    version = request.call.query["api-version"]
    host = f"https://{request.vault.name}.{request.world.cloud.vault}:443"
    link = f"{host}/{path}?api-version={version}&$skiptoken={token}&maxresults={size}"
    return json_answer({"value": items, "nextLink": link})


def _body(request: Request, fields: dict[str, type]) -> dict[str, Any]:
    body = request.call.json()
    if not isinstance(body, dict):
        raise refused(400, "BadParameter", "The request body is missing or is not JSON.")
    told = {name: body[name] for name in fields if body.get(name) is not None}
    for name, value in told.items():
        if not isinstance(value, fields[name]):
            raise refused(400, "BadParameter", f"Property '{name}' has the wrong type.")
    _check_tags(told.get("tags", {}))
    if len(told.get("contentType", "")) > MAX_CONTENT_TYPE:
        raise refused(400, "BadParameter", f"contentType exceeds {MAX_CONTENT_TYPE} characters.")
    return told


def _check_tags(tags: dict[str, Any]) -> None:
    if len(tags) > MAX_TAGS:
        raise refused(400, "BadParameter", f"The number of tags exceeds the maximum of {MAX_TAGS}.")
    for name, value in tags.items():
        if not isinstance(value, str):
            raise refused(400, "BadParameter", "The value of a tag has to be a string.")
        if len(name) > MAX_TAG or len(value) > MAX_TAG:
            raise refused(400, "BadParameter", f"The name or value of a tag exceeds {MAX_TAG} characters.")


def _changed(version: Version, body: dict[str, Any]) -> Version:
    attributes = body.get("attributes", {})
    for name, kind in (("enabled", bool), ("exp", int), ("nbf", int)):
        if attributes.get(name) is not None and not isinstance(attributes[name], kind):
            raise refused(400, "BadParameter", f"Attribute '{name}' has the wrong type.")
    expires = attributes.get("exp", version.expires)
    not_before = attributes.get("nbf", version.not_before)
    if expires is not None and not_before is not None and expires <= not_before:
        raise refused(400, "BadParameter", "The expiry has to be later than the activation.")
    enabled = attributes.get("enabled")
    return replace(
        version,
        content_type=body.get("contentType", version.content_type),
        tags=body.get("tags", version.tags),
        enabled=version.enabled if enabled is None else enabled,
        expires=expires,
        not_before=not_before,
    )


def _seen(request: Request, name: str) -> State | None:
    secret = request.vault.secrets.get(name.lower())
    state = secret.at(request.world.list_moment()) if secret else None
    return state if state and state.deleted is None else None


def _version(state: State | None, name: str, version_id: str | None) -> Version:
    if state is None:
        raise _not_found(name)
    if version_id is None:
        return state.current
    for version in state.versions:
        if version.id == version_id.lower():
            return version
    raise _not_found(f"{name}/{version_id}")


def _deleted(request: Request, name: str) -> State:
    secret = request.vault.secrets.get(name.lower())
    state = secret.now if secret else None
    if state is None or state.deleted is None:
        raise refused(404, "SecretNotFound", f"Deleted Secret not found: {name}")
    return state


def _not_found(name: str) -> ServiceError:
    return refused(
        404,
        "SecretNotFound",
        f"A secret with (name/id) {name} was not found in this key vault. If you recently deleted this secret "
        "you may be able to recover it using the correct recovery command. For help resolving this issue, "
        "please see https://go.microsoft.com/fwlink/?linkid=2125182",
    )


def _id(request: Request, name: str) -> str:
    return f"{request.base}/secrets/{request.vault.names[name.lower()]}"


def _bundle(request: Request, name: str, version: Version) -> dict[str, Any]:
    return {"id": f"{_id(request, name)}/{version.id}", **_metadata(version)}


def _item(request: Request, name: str, version: Version) -> dict[str, Any]:
    return {"id": _id(request, name), **_metadata(version)}


def _metadata(version: Version) -> dict[str, Any]:
    attributes: dict[str, Any] = {"enabled": version.enabled}
    if version.not_before is not None:
        attributes["nbf"] = version.not_before
    if version.expires is not None:
        attributes["exp"] = version.expires
    attributes |= {
        "created": version.created,
        "updated": version.updated,
        "recoveryLevel": "Recoverable+Purgeable",
        "recoverableDays": RECOVERABLE_DAYS,
    }
    shown: dict[str, Any] = {"attributes": attributes}
    if version.content_type is not None:
        shown["contentType"] = version.content_type
    if version.tags is not None:
        shown["tags"] = version.tags
    return shown


def _deletion(request: Request, name: str, deleted: int) -> dict[str, Any]:
    return {
        "recoveryId": f"{request.base}/deletedsecrets/{request.vault.names[name.lower()]}",
        "deletedDate": deleted,
        "scheduledPurgeDate": deleted + RECOVERABLE_DAYS * 24 * 60 * 60,
    }


def _deleted_bundle(request: Request, name: str, state: State) -> dict[str, Any]:
    deleted = state.deleted if state.deleted is not None else 0
    return {**_deletion(request, name, deleted), **_bundle(request, name, state.current)}
