"""Sign-in: Entra ID's discovery and token endpoints, and App Service's managed identity endpoint."""

import secrets
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import jwt
from aiohttp import web

from simulator.clock import real_time
from simulator.clouds import SIGN_IN_HOSTS
from simulator.wire import Call, json_answer, status_code
from simulator.world import World

IDENTITY_NAME = "id-rotation"
CLOCK_SKEW = 5 * 60


@dataclass(slots=True)
class Issuer:
    """Signs tokens and knows them again; lives as long as the simulator, whatever the estate."""

    signing_key: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    identity_header: str = field(default_factory=lambda: secrets.token_hex(16).upper(), repr=False)
    identity_client_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    object_ids: dict[str, str] = field(default_factory=dict)
    known: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    def issue(self, world: World, audience: str, client_id: str, extra: dict[str, str] | None = None) -> str:
        """A bearer token for this audience, with the claims that Azure's clients look at."""
        now = int(real_time())
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{world.tenant}/",
            "iat": now,
            "nbf": now - CLOCK_SKEW,
            "exp": now + lifetime(world),
            "appid": client_id,
            "idtyp": "app",
            "oid": self.object_ids.setdefault(client_id, str(uuid.uuid4())),
            "tid": world.tenant,
            "uti": secrets.token_urlsafe(16),
            "ver": "1.0",
            **(extra or {}),
        }
        token = jwt.encode(claims, self.signing_key, algorithm="HS256")
        self.known[token] = claims
        return token

    def claims(self, call: Call) -> dict[str, Any] | None:
        """The claims of the request's bearer token, or None when we did not issue it."""
        scheme, _, token = call.headers.get("Authorization", "").partition(" ")
        return self.known.get(token) if scheme.lower() == "bearer" else None


def answer(world: World, issuer: Issuer, call: Call) -> web.Response:
    """Answer a request to a sign-in host."""
    path = call.path.lower()
    if path.endswith("/discovery/instance"):
        return _instances(call)
    if path.endswith("/.well-known/openid-configuration"):
        return _configuration(call)
    if path.endswith(("/oauth2/v2.0/token", "/oauth2/token")) and call.method == "POST":
        return _token(world, issuer, call)
    return _refusal(404, "invalid_request", "AADSTS900561: the endpoint does not exist.")


def managed_identity(world: World, issuer: Issuer, call: Call) -> web.Response:
    """Answer App Service's identity endpoint, protocol version 2019-08-01."""
    if call.headers.get("X-IDENTITY-HEADER") != issuer.identity_header:
        return json_answer({"statusCode": 401, "message": "X-IDENTITY-HEADER is missing or wrong"}, 401)
    resource = call.query.get("resource")
    if not resource:
        return json_answer({"statusCode": 400, "message": "resource is missing"}, 400)
    client_id = call.query.get("client_id") or issuer.identity_client_id
    identity = (
        f"/subscriptions/{world.subscription}/resourcegroups/rg-rotation"
        f"/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{IDENTITY_NAME}"
    )
    token = issuer.issue(world, resource.rstrip("/"), client_id, {"xms_mirid": identity})
    return json_answer(
        {
            "access_token": token,
            "expires_on": str(int(real_time()) + lifetime(world)),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": client_id,
        }
    )


def lifetime(world: World) -> int:
    """Seconds for which a token is good."""
    return int(world.behaviour.token_seconds)


def failure(status: int, code: str | None) -> web.Response:
    """What Entra ID says for an error that has no story."""
    return _refusal(status, code or "temporarily_unavailable", f"AADSTS90033: {status_code(status)}.")


def _instances(call: Call) -> web.Response:
    return json_answer(
        {
            "tenant_discovery_endpoint": f"https://{call.host}/common/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [
                {"preferred_network": host, "preferred_cache": host, "aliases": [host]}
                for host in sorted(SIGN_IN_HOSTS)
            ],
        }
    )


def _configuration(call: Call) -> web.Response:
    tenant = call.segments[0]
    base = f"https://{call.host}/{tenant}"
    return json_answer(
        {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "response_types_supported": ["code", "id_token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "tenant_region_scope": "EU",
            "cloud_instance_name": call.host.partition(".")[2],
        }
    )


def _token(world: World, issuer: Issuer, call: Call) -> web.Response:
    form = {name: values[0] for name, values in parse_qs(call.body.decode(errors="replace")).items()}
    if call.segments[0].lower() not in (world.tenant.lower(), "organizations", "common"):
        return _refusal(400, "invalid_request", f"AADSTS90002: Tenant '{call.segments[0]}' not found.")
    if form.get("grant_type") != "client_credentials":
        return _refusal(400, "unsupported_grant_type", "AADSTS70003: The app requested an unsupported grant type.")
    if not form.get("client_id") or not (form.get("client_secret") or form.get("client_assertion")):
        return _refusal(401, "invalid_client", "AADSTS7000216: 'client_secret' or 'client_assertion' is required.")
    audience = form.get("resource") or form.get("scope", "").split(" ")[0].removesuffix("/.default")
    if not audience:
        return _refusal(400, "invalid_scope", "AADSTS70011: The provided value for 'scope' is not valid.")
    token = issuer.issue(world, audience.rstrip("/"), form["client_id"])
    return json_answer(
        {
            "token_type": "Bearer",
            "expires_in": lifetime(world) - 1,
            "ext_expires_in": lifetime(world) - 1,
            "access_token": token,
        }
    )


def _refusal(status: int, error: str, description: str) -> web.Response:
    codes = [int(description.split(":", maxsplit=1)[0].removeprefix("AADSTS"))]
    return json_answer(
        {
            "error": error,
            "error_description": description,
            "error_codes": codes,
            "timestamp": "",
            "trace_id": str(uuid.uuid4()),
            "correlation_id": str(uuid.uuid4()),
        },
        status,
    )
