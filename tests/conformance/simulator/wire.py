"""Raw requests to Azure's names through the simulator, for what the SDKs do not show."""

import json
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from email.message import Message
from typing import Any

VAULT = "https://vault.azure.net"
MANAGEMENT = "https://management.azure.com"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def send(  # a request has many parts
    method: str,
    url: str,
    body: object = None,
    *,
    token: str | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request through the proxy of the environment, trusting its certificate only."""
    given = dict(headers or {})
    if token:
        given["Authorization"] = f"Bearer {token}"
    data = json.dumps(body).encode() if body is not None else b"" if method in ("POST", "PUT", "PATCH") else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **given}, method=method)  # noqa: S310  # https
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({"https": os.environ["HTTPS_PROXY"]}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])),
    )
    try:
        with opener.open(request, timeout=30) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


def token_for(resource: str) -> str:
    """A token of the managed identity."""
    query = urllib.parse.urlencode({"api-version": "2019-08-01", "resource": resource})
    request = urllib.request.Request(  # noqa: S310  # the simulator's own address
        f"{os.environ['IDENTITY_ENDPOINT']}?{query}", headers={"X-IDENTITY-HEADER": os.environ["IDENTITY_HEADER"]}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        return str(json.load(answer)["access_token"])
