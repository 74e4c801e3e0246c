"""The signatures that the data planes check: SharedKey of Storage and Batch, and Web PubSub's tokens."""

import base64
import hashlib
import hmac
from email.utils import parsedate_to_datetime

import jwt

from simulator.clock import real_time
from simulator.wire import Call

SIGNED_HEADERS = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)
TOLERATED_SKEW = 15 * 60


def storage_string_to_sign(call: Call, account: str) -> str:
    """What a Storage client signs, from the rules of "Authorize with Shared Key"."""
    lines = _signed_headers(call, empty_length="")
    lines += _prefixed(call, "x-ms-")
    resource = f"/{account}{call.path}"
    parameters = sorted((name.lower(), value) for name, value in call.query.items())
    return "\n".join([*lines, resource, *(f"{name}:{value}" for name, value in parameters)])


def batch_string_to_sign(call: Call, account: str) -> str:
    """What a Batch client signs: as for Storage, with `ocp-` headers and empty parameters left out."""
    lines = _signed_headers(call, empty_length="" if call.method in ("GET", "HEAD") else "0")
    lines += _prefixed(call, "ocp-")
    parameters = sorted((name.lower(), value) for name, value in call.query.items() if value)
    return "\n".join([*lines, f"/{account}{call.path}", *(f"{name}:{value}" for name, value in parameters)])


def sign(string_to_sign: str, key: str) -> str:
    """The SharedKey signature made with a base64 key."""
    digest = hmac.new(base64.b64decode(key), string_to_sign.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def shared_key(call: Call) -> tuple[str, str] | None:
    """Account name and signature of an `Authorization: SharedKey name:signature` header."""
    scheme, _, rest = call.headers.get("Authorization", "").partition(" ")
    account, separator, signature = rest.partition(":")
    return (account, signature) if scheme == "SharedKey" and separator else None


def is_recent(date: str | None) -> bool:
    """Whether an HTTP date is within the fifteen minutes that the services tolerate."""
    if date is None:
        return False
    try:
        return abs(parsedate_to_datetime(date).timestamp() - real_time()) <= TOLERATED_SKEW
    except ValueError:
        return False


def matches(string_to_sign: str, signature: str, keys: dict[str, str]) -> bool:
    """Whether one of these keys made the signature."""
    return any(hmac.compare_digest(sign(string_to_sign, key), signature) for key in keys.values())


def web_pubsub_token_is_valid(call: Call, keys: dict[str, str]) -> bool:
    """Whether the bearer token was signed with one of these keys for exactly this URL, and lives."""
    token = call.headers.get("Authorization", "").removeprefix("Bearer ")
    return any(_decodes(token, key, call.url) for key in keys.values())


def _decodes(token: str, key: str, audience: str) -> bool:
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=["HS256"],
            audience=audience,
            options={"require": ["exp", "aud"], "verify_exp": False, "verify_iat": False},
        )
    except jwt.InvalidTokenError:
        return False
    return isinstance(claims["exp"], int) and claims["exp"] > real_time()


def _signed_headers(call: Call, *, empty_length: str) -> list[str]:
    headers = {name: call.headers.get(name, "") for name in SIGNED_HEADERS}
    if call.headers.get("x-ms-date") or call.headers.get("ocp-date"):
        headers["date"] = ""
    if headers["content-length"] in ("", "0"):
        headers["content-length"] = empty_length
    return [call.method, *headers.values()]


def _prefixed(call: Call, prefix: str) -> list[str]:
    chosen = {name.lower(): value.strip() for name, value in call.headers.items() if name.lower().startswith(prefix)}
    return [f"{name}:{value}" for name, value in sorted(chosen.items())]
