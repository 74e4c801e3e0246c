"""Every answer that is not the one hoped for, in the words of the service that gives it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from tests.integration.estates import NAMES
from tests.proof.trial import Sent

ARM, VAULT, DATA, LEASES, IDENTITY = "management", "vault", "data plane", "leases", "identity"

HOSTS = {
    ARM: r"^management\.",
    VAULT: r"\.vault\.",
    DATA: rf"^({'|'.join(NAMES.values())})\..*(blob|batch|webpubsub)\.",
    LEASES: r"^stlocal\.blob\.",
    IDENTITY: r"^127\.",
}

FINE, WAITS, PERSON = 0, 1, 3
"""Exit codes: who acts next."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Requests that are alike."""

    name: str
    plane: str
    path: str = ""
    method: str = ""
    action: str | None = None
    challenge: bool = False
    success: int = 200

    def __str__(self) -> str:
        return self.name

    def claims(self, request: Sent) -> bool:
        """Whether it is one of these."""
        return (
            self.challenge is request.challenge
            and self.method in ("", request.method)
            and self.action in (None, request.action)
            and re.search(HOSTS[self.plane], request.host) is not None
            and re.search(self.path, request.path, re.IGNORECASE) is not None
        )

    @property
    def which(self) -> dict[str, Any]:
        """What a fault has to say to meet them all."""
        return {
            "host": HOSTS[self.plane],
            "path": self.path,
            "method": self.method,
            "action": self.action,
            "challenges": self.challenge,
        }


PUBLISH = Kind("publish", VAULT, "^/secrets/.", "PUT")
AMEND = Kind("amend", VAULT, "^/secrets/.", "PATCH")
READ = Kind("read", VAULT, "^/secrets/.", "GET")
REGENERATE = Kind("regenerate", ARM, "/regenerateKeys?$", "POST")
OPERATION = Kind("operation", ARM, "/operation", "GET")
TRY = Kind("try", DATA)
TOKEN = Kind("token", IDENTITY)
CHALLENGE = Kind("challenge", VAULT, challenge=True)
ACQUIRE = Kind("acquire", LEASES, method="PUT", action="acquire", success=HTTPStatus.CREATED)
RENEW = Kind("renew", LEASES, method="PUT", action="renew")
RELEASE = Kind("release", LEASES, method="PUT", action="release")
MAKE = Kind("make", LEASES, method="PUT", action="", success=HTTPStatus.CREATED)
KINDS = (
    TOKEN,
    CHALLENGE,
    ACQUIRE,
    RENEW,
    RELEASE,
    MAKE,
    Kind("list", VAULT, "^/secrets/?$", "GET"),
    READ,
    PUBLISH,
    AMEND,
    Kind("look among the deleted", VAULT, "^/deletedsecrets/.", "GET"),
    Kind("describe", ARM, "/providers/[^/]+/[^/]+/[^/]+$", "GET"),
    Kind("keys", ARM, "/listKeys$", "POST"),
    REGENERATE,
    OPERATION,
    TRY,
)
"""Every kind of request that a pass makes."""
GATES = (TOKEN, CHALLENGE, ACQUIRE, MAKE)
"""Those without which a pass may change nothing."""
CHANGING = (PUBLISH, AMEND, REGENERATE, ACQUIRE, RENEW, RELEASE, MAKE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back, and who has to act upon it."""

    who: int
    told: Mapping[str, Any]
    at: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What is said otherwise on one of the planes."""

    def to(self, kind: Kind) -> dict[str, Any]:
        """What a fault has to say for a request of a kind to be answered so."""
        told = {**self.told, **self.at.get(kind.plane, {})}
        return {**told, "status": kind.success} if told.get("status") == HTTPStatus.OK else told

    def bars(self, kind: Kind) -> bool:
        """Whether nothing can be done where all requests of a kind are answered so."""
        return kind in GATES and not self.applied

    def loses(self, kind: Kind) -> bool:
        """Whether a pass has no lease any more where all renewals are answered so, for as long as it waits."""
        return kind == RENEW and not self.applied and self.told.get("status") != HTTPStatus.OK

    def next_after(self, kind: Kind) -> frozenset[int]:
        """Who may have to act next when requests of a kind are answered so; nobody, where others settle it."""
        if kind == REGENERATE and self.applied:
            # Listing the keys settles it.
            return frozenset({FINE})
        if kind == TRY or (kind in (REGENERATE, OPERATION) and not self.clear):
            # Whether the key works or has changed is asked again, by whoever comes next.
            return frozenset({FINE, WAITS})
        if kind == TOKEN and self.told.get("status") in (409, 412):
            # The client of blobs asks again, and may be given one then.
            return frozenset({FINE, PERSON})
        if kind == READ and self.told.get("status") == 404:
            return frozenset({WAITS})
        return frozenset({FINE, self.who})

    @property
    def applied(self) -> bool:
        """Whether the request has had its effect all the same."""
        return self.told.get("when") == "after"

    @property
    def clear(self) -> bool:
        """Whether it says that the request had no effect."""
        return self.told.get("status") not in (200, 412)


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
    "404": Answer(
        PERSON,
        {"status": 404},
        {ARM: {"code": "ResourceNotFound"}, VAULT: {"code": "SecretNotFound"}, LEASES: {"code": "BlobNotFound"}},
    ),
    "408": Answer(WAITS, {"status": 408}),
    "409 locked": Answer(PERSON, {"status": 409, "code": "ScopeLocked"}),
    "409 in conflict": Answer(WAITS, {"status": 409, "code": "Conflict"}, {LEASES: {"code": "ContainerBeingDeleted"}}),
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
    "200, without content": Answer(PERSON, {"status": 200, "body": "{}"}),
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
"""Answers that do not tell that a request had its effect; one that has none is answered so as well as before."""


LEASED = {"409 leased": Answer(WAITS, {"status": 409, "code": "LeaseAlreadyPresent"})}
"""What is said of leases alone."""


def answers_to(kind: Kind) -> Mapping[str, Answer]:
    """Every answer to requests of a kind, once."""
    return BEFORE | (AFTER if kind in CHANGING else {}) | (LEASED if kind.action else {})
