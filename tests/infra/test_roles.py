"""The custom roles have the rights that the app's requests need, each of them and no other."""

import re
from collections import defaultdict
from datetime import timedelta
from typing import Any

import pytest

from rotation.enroll import enroll
from rotation.model import AccountId, Format, SecretRef
from rotation.providers.batch import Batch
from rotation.providers.storage import Storage
from rotation.providers.webpubsub import WebPubSub
from simulator.client import ControlClient
from tests.infra.bicep import ROOT, read
from tests.integration.engine import bench
from tests.integration.estates import NAMES, SERVICES, SLOTS, one_account

KINDS = {"storage": "storageaccounts", "batch": "batchaccounts", "webpubsub": "webpubsub"}
VAULT_ACTIONS = {
    ("GET", r"/secrets/?"): "readMetadata",
    ("GET", r"/deletedsecrets/[^/]+/?"): "readMetadata",
    ("GET", r"/secrets/[^/]+(/[^/]*)?"): "getSecret",
    ("PUT", r"/secrets/[^/]+/?"): "setSecret",
    ("PATCH", r"/secrets/[^/]+/[^/]+/?"): "update",
}
"""What Key Vault asks a caller for. Source: the data actions of its built-in roles."""

ARM_PATH = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/(?P<type>[^/]+/[^/]+)/[^/]+(?:/(?P<call>[^/]+)(?:/[^/]+)?)?",
    re.IGNORECASE,
)
LOCATED_PATH = re.compile(
    r"/subscriptions/[^/]+/providers/(?P<provider>[^/]+)/locations/[^/]+/(?P<call>[^/]+)/[^/]+/(?P<kind>[^/]+)/[^/]+",
    re.IGNORECASE,
)


def granted() -> dict[str, set[str]]:
    """The actions of each custom role by its kind, in lower case, as Azure compares them."""
    return {
        role["kind"]: {action.lower() for action in (*role["actions"], *role["dataActions"])}
        for role in read("modules/roles").variables["definitions"]
    }


def needed(entry: dict[str, Any]) -> tuple[str, str] | None:
    """The role that a request of the journal belongs to, and the action it needs; None for a data plane."""
    method, host, path = entry["method"], entry["host"], entry["path"]
    if ".vault." in host:
        (action,) = (a for (verb, form), a in VAULT_ACTIONS.items() if verb == method and re.fullmatch(form, path))
        return "vaults", f"microsoft.keyvault/vaults/secrets/{action}/action".lower()
    if not host.startswith("management."):
        return None
    if located := LOCATED_PATH.fullmatch(path):
        assert "GET" == method
        return "operations", f"{located['provider']}/locations/{located['call']}/{located['kind']}/read".lower()
    found = ARM_PATH.fullmatch(path)
    assert found, path
    kind, call = found["type"].lower(), (found["call"] or "").lower()
    suffix = f"/{call}/action" if method == "POST" else f"/{call}/read" if call else "/read"
    return kind.rpartition("/")[2], f"{kind}{suffix}"


@pytest.fixture
async def asked(simulator: ControlClient) -> dict[str, set[str]]:
    """The actions that were needed, by role, while each kind of account was enrolled, mended and rotated twice.

    In the second rotation Azure tells elsewhere how operations go.
    """
    found = defaultdict(set)
    for service in SERVICES:
        simulator.reset(one_account(service, tags={"active-slot": SLOTS[service][1]}))
        account = simulator.account(NAMES[service])
        async with bench(one_account(service)) as engine:
            clear = await engine.rotate()
            assert [None] == [outcome.error for outcome in clear.outcomes]
            await enroll(
                SecretRef("kv-one", "another"),
                AccountId.parse(account["id"]),
                engine.tools,
                await engine.survey(),
                form=Format.KEY,
            )
            engine.clock.ahead += timedelta(days=80)
            simulator.behave(operations_located=True)
            again = await engine.rotate()
            assert ["changed"] == [outcome.status for outcome in again.outcomes]
        for entry in simulator.journal():
            if not entry["sign_in"] and (need := needed(entry)):
                found[need[0]].add(need[1])
    return dict(found)


def test_the_roles_are_what_the_requests_need(asked: dict[str, set[str]]) -> None:
    """A right that is missing is an outage, and one too many is what a thief would use."""
    assert granted() == asked


@pytest.mark.parametrize("kind", [*KINDS.values(), "vaults", "operations"])
def test_no_role_deletes_or_writes_accounts(kind: str) -> None:
    """Not deleted, not purged, not changed; and nothing is granted by a star."""
    actions = granted()[kind]
    assert actions
    assert [] == [a for a in actions if "*" in a or re.search(r"/(delete|purge|write|recover|backup|restore)\b", a)]


@pytest.mark.parametrize("provider", [Batch, Storage, WebPubSub], ids=lambda provider: provider.__name__)
def test_doctor_looks_for_rights_that_the_role_has(provider: type[Batch | Storage | WebPubSub]) -> None:
    """What `doctor` calls missing is what the template grants."""
    kind = provider.resource_type.rpartition("/")[2].lower()
    assert {right.lower() for right in provider.rights} <= granted()[kind]


def test_the_security_page_names_the_same_rights() -> None:
    """Who reviews the rights reads that page."""
    page = ROOT / "SECURITY.md"
    if not page.is_file():
        pytest.skip("there is no SECURITY.md yet")
    rows = "\n".join(line for line in page.read_text().splitlines() if line.startswith("|"))
    told = {word.lower() for word in re.findall(r"`(Microsoft\.[\w./]+/(?:action|read))`", rows)}
    assert set().union(*granted().values()) == told
