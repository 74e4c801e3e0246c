"""Every verdict that acts: each as a small estate, and the visits to it after which all is well."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from rotation.clock import SystemClock
from rotation.model import Request, Role, Suspect, Trigger
from rotation.tags import format_time
from simulator.client import ControlClient
from tests.integration.estates import FORMATS, NAMES, SLOTS, publication
from tests.proof.lease_storage import LeaseStorage

AT_ONCE = timedelta(0)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
GRACE = 15 * MINUTE

DUE = {"created": "P75D", "expires": "P15D"}
FRESH = {"created": "P5D", "expires": "P85D"}
YOUNG = {"created": "PT1H", "expires": "P89D"}
NEW = {"created": "PT1M", "expires": "P90D"}

REFUSALS = {
    "storage": {"host": f"^{NAMES['storage']}\\.blob", "status": 403, "code": "AuthenticationFailed"},
    "batch": {"host": "batch", "status": 403, "code": "AuthenticationFailed"},
    "webpubsub": {"host": "webpubsub", "status": 401},
}
"""How each data plane says that it does not know a key."""
MISSING = {"path": "^/secrets/.", "method": "GET", "times": 1, "status": 404, "code": "SecretNotFound"}
"""A vault that does not know one of the secrets, once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A pass: what is asked, how long after the story began, and of which accounts."""

    request: Request
    ahead: timedelta = AT_ONCE
    every: bool = True
    """Every account, or those only that have something to do by the listing."""
    again: timedelta
    """How long after a crash the same comes again."""
    refused: bool = False
    """Whether the service does not accept any new key yet."""
    missing: bool = False
    """Whether a secret is not there when it is read, though it was listed, and is there again afterwards."""
    overtaken: bool = False
    """Whether another pass has replaced the key that is meant, since it was declared compromised."""

    def later(self, passed: timedelta = AT_ONCE) -> "Visit":
        """The same, once more, when so much time had passed meanwhile."""
        return replace(self, ahead=self.ahead + passed + self.again)

    def naming(self, keys: Mapping[str, str], idle: str) -> "Visit":
        """The same, where what it speaks of is settled; `keys` are the fingerprints when the story began."""
        if not self.overtaken:
            return self
        meant = Suspect(idle, keys[idle], published=True)
        return replace(self, request=replace(self.request, suspects=(meant,)))


def sweep(ahead: timedelta = AT_ONCE, **told: bool) -> Visit:
    """The timer that does what is due."""
    return Visit(request=Request(Trigger.SCHEDULE), ahead=ahead, every=False, again=GRACE, **told)


def audit() -> Visit:
    """The timer that finds what no listing shows."""
    return Visit(request=Request(Trigger.SCHEDULE), again=DAY)


def operator(**asked: Any) -> Visit:
    """Somebody who says the same again, with the same id, until it is done."""
    return Visit(request=Request(Trigger.OPERATOR, id="INC-1", **asked), again=MINUTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """An account, its publications, and who comes to them."""

    visits: tuple[Visit, ...]
    age: Mapping[str, str] = field(default_factory=lambda: FRESH)
    mistagged: bool = False
    """Whether the tags name the second slot, while the values hold the first one's key."""
    ahead: bool = False
    """Whether the last publication has the second slot's key already."""
    drifted: bool = False
    """Whether somebody has regenerated the published key elsewhere."""
    policy: str = ""
    state: str = ""
    """What is noted on each publication; `{ago}` is yesterday, `{other}` the second slot."""
    settings: Mapping[str, str] = field(default_factory=dict)
    first: bool = False
    """Whether no pass has ever held a lease, so that what leases are on is not there yet."""

    def begin(self, simulator: ControlClient, service: str, forms: tuple[str, ...], leases: LeaseStorage) -> None:
        """Put the simulator's estate at the beginning of the story, with new keys and an empty journal."""
        simulator.reset(self.estate(service, forms) | leases.elsewhere)
        if self.first:
            leases.forget()
        if self.drifted:
            simulator.regenerate(NAMES[service], SLOTS[service][0])

    def estate(self, service: str, forms: tuple[str, ...]) -> dict[str, Any]:
        """One account, with a publication in each of the forms; the third one is in a vault of its own."""
        secrets = [self._secret(service, f"secret-{n}", form) for n, form in enumerate(forms)]
        if self.ahead:
            secrets[-1] |= {"slot": SLOTS[service][1], "created": "P4D", "expires": "P86D"}
        vaults = {"kv-one": secrets[:2], "kv-two": secrets[2:]}
        return {
            "accounts": [{"type": service, "name": NAMES[service], "resource_group": "rg-one"}],
            "vaults": [{"name": name, "secrets": held} for name, held in vaults.items() if held],
        }

    def _secret(self, service: str, name: str, form: str) -> dict[str, Any]:
        secret = publication(service, name, form, **self.age)
        tags, other = secret["tags"], SLOTS[service][1]
        if self.mistagged:
            tags["active-slot"] = other
        if policy := ";".join(filter(None, (tags.get("rotation-policy"), self.policy))):
            tags["rotation-policy"] = policy
        if self.state:
            tags["rotation-state"] = self.state.format(ago=format_time(SystemClock().now() - DAY), other=other)
        return secret


STORIES = {
    "rotate": Story(age=DUE, visits=(sweep(),)),
    "rotate, for the first time": Story(age=DUE, first=True, visits=(sweep(),)),
    "rotate, a secret missing at first": Story(age=DUE, visits=(sweep(missing=True), sweep(GRACE))),
    "rotate, then retire": Story(age=DUE, policy="retire-after=P7D", visits=(sweep(), sweep(8 * DAY))),
    "force": Story(age=YOUNG, visits=(operator(force=True),)),
    "republish": Story(drifted=True, visits=(audit(),)),
    "retag": Story(mistagged=True, visits=(audit(),)),
    "align": Story(ahead=True, visits=(sweep(),)),
    "retire": Story(
        state="rotated-at={ago};trigger=schedule;retire-at={ago};retire-slot={other}",
        visits=(sweep(),),
    ),
    "stage": Story(
        age=DUE,
        settings={"ROTATION_PROBE_TIMEOUT": "PT0S"},
        visits=(sweep(refused=True), sweep(20 * MINUTE)),
    ),
    "wait, then stage": Story(age=DUE, visits=(sweep(refused=True), sweep(20 * MINUTE))),
    "publish": Story(age=DUE, state="staged-slot={other};staged-at={ago}", visits=(sweep(),)),
    "compromised active": Story(age=YOUNG, visits=(operator(compromised=Role.ACTIVE, grace=GRACE), sweep(20 * MINUTE))),
    "compromised active, at once": Story(age=YOUNG, visits=(operator(compromised=Role.ACTIVE, grace=AT_ONCE),)),
    "compromised active, not accepted": Story(
        age=YOUNG,
        settings={"ROTATION_PROBE_TIMEOUT": "PT0S"},
        visits=(
            replace(operator(compromised=Role.ACTIVE, grace=GRACE), refused=True),
            sweep(20 * MINUTE),
            sweep(60 * MINUTE),
        ),
    ),
    "compromised active, replaced meanwhile": Story(
        age=NEW,
        visits=(
            replace(operator(compromised=Role.ACTIVE, grace=GRACE), overtaken=True),
            sweep(20 * MINUTE),
        ),
    ),
    "compromised idle": Story(age=YOUNG, visits=(operator(compromised=Role.IDLE),)),
    "compromised both": Story(age=YOUNG, visits=(operator(compromised=Role.BOTH, grace=GRACE), sweep(20 * MINUTE))),
    "compromised both, at once": Story(age=YOUNG, visits=(operator(compromised=Role.BOTH, grace=AT_ONCE),)),
}
"""By what is done in them; an idle key has no grace."""

MIXED = {service: tuple(forms) for service, forms in FORMATS.items()}
"""Three publications in the forms that a service has, in two vaults."""
ALONE = {service: tuple((form,) for form in dict.fromkeys(forms)) for service, forms in FORMATS.items()}
"""One publication, in each of the forms that a service has."""
