"""Turns what the Azure SDKs raise into our errors: what failed, why, and what to do about it."""

import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus

import aiohttp
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    IncompleteReadError,
)

from rotation.cloud.roles import advice
from rotation.errors import (
    CredentialUnavailable,
    Forbidden,
    NotFound,
    ReadOnlyLock,
    RotationError,
    SecretDeleted,
    SecretDisabled,
    SharedKeyOff,
    Throttled,
    Unavailable,
    Unexpected,
    Untrusted,
)
from rotation.quoting import looks_secret, without_keys

_LONGEST_QUOTE = 300

_DENIED_ACTION = re.compile(r"action:? '([\w.]+(?:/[\w*]+)+)'", re.IGNORECASE)

_MEANINGS: Mapping[int | str, tuple[type[RotationError], str]] = {
    # It was good when it was put into the request, and the machine stood still before that was sent.
    "ExpiredAuthenticationToken": (Unavailable, "our sign-in ended meanwhile; the next pass signs in anew"),
    HTTPStatus.UNAUTHORIZED: (
        CredentialUnavailable,
        "our sign-in is not accepted; check that the identity belongs to the tenant of the resource",
    ),
    HTTPStatus.NOT_FOUND: (NotFound, "it does not exist there; check its name, and whether somebody has deleted it"),
    HTTPStatus.REQUEST_TIMEOUT: (Unavailable, "the service timed out"),
}


class NoTokenError(ClientAuthenticationError):
    """Who gives out tokens did not answer, or not now; the SDKs do not send a request again for which there is none."""


class SignInFailedError(ClientAuthenticationError):
    """There is an identity, and it could not sign in; the message says by which way, and with which status."""


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise one of our errors in place of the SDKs'; `doing` completes the sentence "cannot …".

    The SDK's error is kept as the cause, except where its text holds what may be a key: it quotes the bodies of
    answers, and a cause is printed with every traceback.
    """
    try:
        yield
    except (AzureError, OSError) as error:
        raise translate(error, doing) from (None if _may_hold_a_key(error) else error)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        # The SDKs do not foresee every answer either.
        raise Unexpected(
            f"cannot {doing}: the answer cannot be understood, and may be that of a proxy ({type(error).__name__})"
        ) from None


def translate(error: Exception, doing: str) -> RotationError:
    """Choose our error for one of the SDKs'."""
    if isinstance(error, NoTokenError):
        return _without_a_token(error, f"cannot {doing} without a token: ")
    if isinstance(error, SignInFailedError):
        return CredentialUnavailable(
            f"cannot {doing}: our identity could not sign in; check that AZURE_CLIENT_ID names one that is there, its "
            f"secret, certificate or token file, and what answers where tokens are given out ({error.message})"
        )
    if isinstance(error, IncompleteReadError):
        return Unavailable(f"cannot {doing}: the connection broke in the middle of the answer")
    if isinstance(error, HttpResponseError) and error.status_code is not None:
        return _answered(error, error.status_code, f"cannot {doing}: ")
    if isinstance(error, ClientAuthenticationError):
        return CredentialUnavailable(
            f"cannot {doing}: there is no identity to sign in with; set AZURE_CLIENT_ID to a managed identity "
            f"of this app, or run `az login` ({_quote(error.message)})"
        )
    return _unreached(error, f"cannot {doing}: ")


def _without_a_token(error: NoTokenError, cannot: str) -> RotationError:
    """What it means that nobody gives out a token now."""
    found = _unreached(error, cannot) if error.status_code is None else _answered(error, error.status_code, cannot)
    found.sent = False
    return found


def _unreached(error: Exception, cannot: str) -> RotationError:
    """What it means that there is no answer.

    Only what the operating system says is quoted: the texts of HTTP errors may hold a part of the answer.
    """
    cause = getattr(error, "inner_exception", None) or error
    said = f"({_quote(str(getattr(cause, 'os_error', None) or type(cause).__name__))})"
    kind, meaning = _obstruction(cause)
    return kind(f"{cannot}{meaning} {said}")


def _obstruction(cause: BaseException) -> tuple[type[RotationError], str]:
    """Our error for what kept an answer from coming, and the way out."""
    found: tuple[type[RotationError], str]
    match cause:
        case aiohttp.ClientConnectorCertificateError():
            found = (
                Untrusted,
                "its certificate is not trusted; let SSL_CERT_FILE name a CA bundle that is there and has its issuer",
            )
        case aiohttp.ClientConnectorDNSError() if cause.os_error.errno == socket.EAI_AGAIN:
            found = Unavailable, "its host name could not be looked up; check the network's name server"
        case aiohttp.ClientConnectorDNSError():
            found = NotFound, "its host name is unknown; check the name, and the private DNS zone if it has one"
        case aiohttp.InvalidURL():
            found = Unexpected, "its address, or that in HTTPS_PROXY, is none; correct it"
        case aiohttp.ClientProxyConnectionError():
            found = Unavailable, "the proxy cannot be reached; check HTTPS_PROXY and NO_PROXY"
        case aiohttp.ClientHttpProxyError():
            found = Unavailable, "the proxy does not let us through; check HTTPS_PROXY and NO_PROXY"
        case TimeoutError():
            found = Unavailable, "it timed out; check the network, and HTTPS_PROXY if a proxy is needed"
        case aiohttp.ClientConnectorError(host="127.0.0.1" | "localhost", os_error=ConnectionRefusedError()):
            found = Unavailable, "nothing listens there on this machine; start it, as the storage emulator"
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            found = Unavailable, "the connection was refused; check HTTPS_PROXY if a proxy is needed"
        case _:
            found = Unavailable, "the service could not be reached"
    return found


def _answered(error: HttpResponseError, status: int, cannot: str) -> RotationError:
    """What an HTTP answer means."""
    said = _said(error)
    match status:
        case HTTPStatus.FORBIDDEN:
            return _forbidden(error, cannot, said)
        case HTTPStatus.CONFLICT:
            return _conflict(error, cannot, said)
        case HTTPStatus.TOO_MANY_REQUESTS:
            headers = getattr(error.response, "headers", {})
            return Throttled(f"{cannot}too many requests {said}", seconds_to_wait(headers))
    if known := _MEANINGS.get(inner_code(error)) or _MEANINGS.get(status):
        kind, meaning = known
        return kind(f"{cannot}{meaning} {said}")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(f"{cannot}the service failed {said}")
    points = HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST
    why = "points elsewhere, which we do not follow" if points else "is not one that we understand"
    return Unexpected(f"{cannot}the answer {why} {said}")


def _forbidden(error: HttpResponseError, cannot: str, said: str) -> RotationError:
    code = inner_code(error)
    text = error.message
    if code == "SecretDisabled" or "disabled secret" in text:
        return SecretDisabled(f"{cannot}its current version is disabled; enable it or publish a new version {said}")
    if "firewall" in code.lower() or "not authorized by network" in text or "Client address is not" in text:
        return Forbidden(
            f"{cannot}the firewall of the vault or account does not let us in; allow the network or address of this "
            f"app, or of this machine {said}"
        )
    if code == "KeyBasedAuthenticationNotPermitted" or "SharedKey is not allowed" in text:
        return SharedKeyOff(f"{cannot}the account does not accept keys {said}")
    if match := _DENIED_ACTION.search(text):
        action = match[1]
        return Forbidden(
            f"{cannot}our identity lacks the right to {action}; {advice(action)}; allow some minutes {said}"
        )
    return Forbidden(f"{cannot}our identity lacks a right {said}")


def _conflict(error: HttpResponseError, cannot: str, said: str) -> RotationError:
    code = inner_code(error)
    if code == "ScopeLocked":
        return ReadOnlyLock(
            f"{cannot}a read-only lock is on it or above it; remove the lock, or make it a delete lock {said}"
        )
    if code == "ObjectIsDeletedButRecoverable" or "deleted but recoverable" in error.message:
        return SecretDeleted(f"{cannot}it is deleted but recoverable; recover or purge it {said}")
    return Unavailable(f"{cannot}another operation is running on it {said}")


def inner_code(error: HttpResponseError) -> str:
    """Azure's most precise code for an error; empty where the answer has none."""
    inner = error.error.innererror if error.error else None
    code = (inner or {}).get("code") or (error.error.code if error.error else None)
    # Storage answers in XML; its SDK reads that, and keeps the code at another place, as an enum where it knows it.
    elsewhere = getattr(error, "error_code", None)
    return str(code or getattr(elsewhere, "value", elsewhere) or "")


def seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """How long a service asked us to wait, where it said so in seconds."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdecimal() else None


def _said(error: HttpResponseError) -> str:
    """Azure's own words in brackets, without what looks like a key: status, code, message, and when to ask again."""
    words = error.error.message if error.error else None
    wait = seconds_to_wait(getattr(error.response, "headers", {}))
    again = "" if wait is None else f"again in {wait:g} s"
    parts = (str(error.status_code), _quote(inner_code(error)), _quote(words or ""), again)
    return f"({', '.join(part for part in parts if part)})"


def _quote(text: str) -> str:
    # Azure quotes what others chose, such as names, and this goes to terminals.
    printable = "".join(char if char.isprintable() else " " for char in without_keys(text, "…"))
    line = " ".join(printable.split())
    return line if len(line) <= _LONGEST_QUOTE else f"{line[:_LONGEST_QUOTE]}…"


def _may_hold_a_key(error: Exception) -> bool:
    """Whether the error's text quotes the body of a good answer, or of one about tokens, or what looks like a key."""
    good = isinstance(error, HttpResponseError) and (error.status_code or 0) < HTTPStatus.BAD_REQUEST
    return good or isinstance(error, NoTokenError) or looks_secret(str(error))
