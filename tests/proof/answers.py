"""Every answer that is not the one hoped for, in the words of the service that gives it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ARM, VAULT, DATA = "management", "vault", "data plane"

WAITS, PERSON = 1, 3
"""Exit codes: who acts next."""


def plane(host: str) -> str:
    """Which kind of service answers at a host."""
    return ARM if host.startswith("management.") else VAULT if ".vault." in host else DATA


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back, and who has to act upon it."""

    who: int
    told: Mapping[str, Any]
    at: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What is said otherwise on one of the planes."""

    def fault(self, host: str) -> dict[str, Any]:
        """The fault by which the simulator answers so."""
        return {**self.told, **self.at.get(plane(host), {})}


def _forbidden(inner: str, message: str) -> dict[str, Any]:
    error = {"code": "Forbidden", "message": message, "innererror": {"code": inner}}
    return {"body": json.dumps({"error": error})}


BEFORE = {
    "401": Answer(PERSON, {"status": 401}),
    "403 by RBAC": Answer(
        PERSON,
        {"status": 403, "code": "AuthorizationFailed"},
        {VAULT: _forbidden("ForbiddenByRbac", "Caller is not authorized to perform action on resource.")},
    ),
    "403 by a firewall": Answer(
        PERSON,
        {"status": 403, "code": "AuthorizationFailure"},
        {VAULT: _forbidden("ForbiddenByFirewall", "Client address is not authorized and caller is not trusted.")},
    ),
    "403 disabled": Answer(
        PERSON,
        {"status": 403, "code": "SharedKeyAuthenticationNotAllowed"},
        {
            VAULT: _forbidden("SecretDisabled", "Operation get is not allowed on a disabled secret."),
            DATA: {"code": "KeyBasedAuthenticationNotPermitted"},
        },
    ),
    "404": Answer(PERSON, {"status": 404}, {ARM: {"code": "ResourceNotFound"}, VAULT: {"code": "SecretNotFound"}}),
    "408": Answer(WAITS, {"status": 408}),
    "409 locked": Answer(PERSON, {"status": 409, "code": "ScopeLocked"}),
    "409 in conflict": Answer(WAITS, {"status": 409, "code": "Conflict"}),
    "412": Answer(PERSON, {"status": 412}),
    "429": Answer(WAITS, {"status": 429}),
    "429, again in a second": Answer(WAITS, {"status": 429, "retry_after": 1}),
    "429, again in an hour": Answer(WAITS, {"status": 429, "retry_after": 3600}),
    "500": Answer(WAITS, {"status": 500}),
    "502": Answer(WAITS, {"status": 502}),
    "503": Answer(WAITS, {"status": 503}),
    "503, again in a second": Answer(WAITS, {"status": 503, "retry_after": 1}),
    "504": Answer(WAITS, {"status": 504}),
    "200, malformed": Answer(PERSON, {"status": 200, "body": '{"value": ['}),
    "200, empty": Answer(PERSON, {"status": 200, "body": ""}),
    "cut": Answer(WAITS, {"cut": True}),
    "stalled": Answer(WAITS, {"stall": True}),
}
"""Answers to a request that had no effect."""

AFTER = {
    f"{name}, but applied": Answer(answer.who, {**answer.told, "when": "after"})
    for name, answer in BEFORE.items()
    if name in ("408", "429", "500", "502", "503", "503, again in a second", "504")
    or name.startswith("200")
    or name in ("cut", "stalled")
}
"""Answers that do not tell that the request had its effect."""
