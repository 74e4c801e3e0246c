"""Storage's blob and queue data planes, for callers that sign with a shared key."""

from email.utils import format_datetime
from urllib.parse import unquote
from xml.sax.saxutils import escape

from aiohttp import web

from simulator.accounts import STORAGE, Account, Blob, Container
from simulator.clouds import Plane
from simulator.signatures import is_recent, matches, shared_key, storage_string_to_sign
from simulator.wire import Call, ServiceError, request_ids, status_code
from simulator.world import World

SERVICE_PROPERTIES = (
    "<StorageServiceProperties>"
    "<Logging><Version>1.0</Version><Delete>false</Delete><Read>false</Read><Write>false</Write>"
    "<RetentionPolicy><Enabled>false</Enabled></RetentionPolicy></Logging>"
    "<HourMetrics><Version>1.0</Version><Enabled>false</Enabled>"
    "<RetentionPolicy><Enabled>false</Enabled></RetentionPolicy></HourMetrics>"
    "<MinuteMetrics><Version>1.0</Version><Enabled>false</Enabled>"
    "<RetentionPolicy><Enabled>false</Enabled></RetentionPolicy></MinuteMetrics>"
    "<Cors />"
    "</StorageServiceProperties>"
)


def answer(world: World, call: Call) -> web.Response:
    """Answer a request to the blob or queue service of a storage account."""
    try:
        response = _route(world, _authenticated(world, call), call)
    except ServiceError as error:
        response = error.answer
    response.headers.update({**request_ids(call), "x-ms-version": call.headers.get("x-ms-version", "2021-12-02")})
    return response


def failure(status: int, code: str | None) -> web.Response:
    """What Storage says for an error that has no story."""
    codes = {429: "TooManyRequests", 500: "InternalError", 503: "ServerBusy"}
    return refused(
        status, code or codes.get(status) or status_code(status), "The request could not be completed."
    ).answer


def refused(status: int, code: str, message: str) -> ServiceError:
    """A Storage error: XML, with the code in a header too."""
    body = (
        f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>'
    )
    headers = {"x-ms-error-code": code, "Content-Type": "application/xml"}
    return ServiceError(web.Response(status=status, body=body.encode(), headers=headers))


def _authenticated(world: World, call: Call) -> Account:
    account = world.account(call.resource)
    if account is None or account.kind is not STORAGE:
        raise refused(404, "AccountNotFound", "The specified account does not exist.")
    signed = shared_key(call)
    if signed is None:
        raise refused(401, "NoAuthenticationInformation", "Server failed to authenticate the request.")
    if not account.shared_keys:
        raise refused(
            403,
            "KeyBasedAuthenticationNotPermitted",
            "Key based authentication is not permitted on this storage account.",
        )
    date = call.headers.get("x-ms-date") or call.headers.get("Date")
    keys = account.accepted(world.clock.now())
    name, signature = signed
    if name != account.name or not is_recent(date) or not matches(storage_string_to_sign(call, name), signature, keys):
        raise refused(
            403,
            "AuthenticationFailed",
            "Server failed to authenticate the request. Make sure the value of Authorization header is formed "
            "correctly including the signature.",
        )
    return account


def _route(world: World, account: Account, call: Call) -> web.Response:
    match (call.method, call.query.get("restype"), call.query.get("comp")):
        case ("GET", "service", "properties"):
            return _xml(SERVICE_PROPERTIES)
        case ("GET" | "HEAD", "account", "properties") if call.plane is Plane.BLOB:
            headers = {
                "x-ms-sku-name": "Standard_LRS",
                "x-ms-account-kind": "StorageV2",
                "x-ms-is-hns-enabled": "false",
            }
            return web.Response(status=200, headers=headers)
    if call.plane is Plane.BLOB:
        container, _, blob = call.path.strip("/").partition("/")
        if blob:
            return _blob(world, _existing(account, container), unquote(blob), call)
        return _containers(world, account, container, call)
    raise refused(400, "InvalidUri", "The requested URI does not represent any resource on the server.")


def _containers(world: World, account: Account, name: str, call: Call) -> web.Response:
    match (call.method, call.query.get("restype"), call.query.get("comp")):
        case ("GET", None, "list") if not name:
            return _xml(_container_list(account))
        case ("PUT", "container", None):
            if name in account.containers:
                raise refused(409, "ContainerAlreadyExists", "The specified container already exists.")
            account.containers[name] = Container(world.clock.now())
            return web.Response(status=201, headers=_container_headers(account.containers[name]))
        case ("GET" | "HEAD", "container", None):
            return web.Response(status=200, headers=_container_headers(_existing(account, name)))
        case ("GET", "container", "list"):
            return _xml(_blob_list(account, name, _existing(account, name), call.query.get("prefix", "")))
        case ("DELETE", "container", None):
            _existing(account, name)
            del account.containers[name]
            return web.Response(status=202)
    raise refused(400, "InvalidUri", "The requested URI does not represent any resource on the server.")


def _existing(account: Account, name: str) -> Container:
    container = account.containers.get(name)
    if container is None:
        raise refused(404, "ContainerNotFound", "The specified container does not exist.")
    return container


def _blob(world: World, container: Container, name: str, call: Call) -> web.Response:
    if call.method == "PUT" and "comp" not in call.query:
        if call.headers.get("If-None-Match") == "*" and name in container.blobs:
            raise refused(409, "BlobAlreadyExists", "The specified blob already exists.")
        kind = call.headers.get("x-ms-blob-content-type") or call.headers.get(
            "Content-Type", "application/octet-stream"
        )
        container.blobs[name] = Blob(call.body, kind, world.clock.now())
        return web.Response(status=201, headers=_validators(container.blobs[name]))
    blob = container.blobs.get(name)
    if blob is None:
        raise refused(404, "BlobNotFound", "The specified blob does not exist.")
    match call.method:
        case "GET":
            return _content(blob, call.headers.get("x-ms-range") or call.headers.get("Range"))
        case "HEAD":
            return web.Response(status=200, headers={**_blob_headers(blob), "Content-Length": str(len(blob.content))})
        case "DELETE":
            del container.blobs[name]
            return web.Response(status=202)
    raise refused(400, "InvalidUri", "The requested URI does not represent any resource on the server.")


def _content(blob: Blob, asked: str | None) -> web.Response:
    size = len(blob.content)
    if asked is None:
        return web.Response(status=200, body=blob.content, headers=_blob_headers(blob))
    first_text, _, last_text = asked.removeprefix("bytes=").partition("-")
    first, last = int(first_text), min(int(last_text or size - 1), size - 1)
    if first >= size:
        raise refused(416, "InvalidRange", "The range specified is invalid for the current size of the resource.")
    headers = {**_blob_headers(blob), "Content-Range": f"bytes {first}-{last}/{size}"}
    return web.Response(status=206, body=blob.content[first : last + 1], headers=headers)


def _validators(thing: Blob | Container) -> dict[str, str]:
    return {"ETag": thing.etag, "Last-Modified": format_datetime(thing.modified, usegmt=True)}


def _container_headers(container: Container) -> dict[str, str]:
    return {
        **_validators(container),
        "x-ms-lease-status": "unlocked",
        "x-ms-lease-state": "available",
        "x-ms-has-immutability-policy": "false",
        "x-ms-has-legal-hold": "false",
    }


def _blob_headers(blob: Blob) -> dict[str, str]:
    return {
        **_validators(blob),
        "Content-Type": blob.content_type,
        "Accept-Ranges": "bytes",
        "x-ms-blob-type": "BlockBlob",
        "x-ms-lease-status": "unlocked",
        "x-ms-lease-state": "available",
        "x-ms-server-encrypted": "true",
    }


def _container_list(account: Account) -> str:
    items = "".join(
        f"<Container><Name>{escape(name)}</Name><Properties>"
        f"<Last-Modified>{format_datetime(container.modified, usegmt=True)}</Last-Modified>"
        f"<Etag>{container.etag}</Etag><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>"
        "</Properties></Container>"
        for name, container in sorted(account.containers.items())
    )
    return (
        f'<EnumerationResults ServiceEndpoint="https://{account.host}/">'
        f"<Containers>{items}</Containers><NextMarker /></EnumerationResults>"
    )


def _blob_list(account: Account, name: str, container: Container, prefix: str) -> str:
    items = "".join(
        f"<Blob><Name>{escape(blob_name)}</Name><Properties>"
        f"<Last-Modified>{format_datetime(blob.modified, usegmt=True)}</Last-Modified><Etag>{blob.etag}</Etag>"
        f"<Content-Length>{len(blob.content)}</Content-Length><Content-Type>{escape(blob.content_type)}</Content-Type>"
        "<BlobType>BlockBlob</BlobType><LeaseStatus>unlocked</LeaseStatus></Properties></Blob>"
        for blob_name, blob in sorted(container.blobs.items())
        if blob_name.startswith(prefix)
    )
    return (
        f'<EnumerationResults ServiceEndpoint="https://{account.host}/" ContainerName="{escape(name)}">'
        f"<Blobs>{items}</Blobs><NextMarker /></EnumerationResults>"
    )


def _xml(body: str) -> web.Response:
    text = f'<?xml version="1.0" encoding="utf-8"?>{body}'
    return web.Response(body=text.encode(), headers={"Content-Type": "application/xml"})
