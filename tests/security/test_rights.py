"""SECURITY.md lists every request that is sent with the one right that it needs, and nothing else."""

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from rotation.cli import main
from rotation.errors import RotationError
from rotation.model import Request, Role, Trigger
from rotation.providers import Providers
from simulator.client import ControlClient
from tests import emulator
from tests.functions.estate import SETTINGS
from tests.functions.events import current_version, event_grid
from tests.integration.engine import Bench, bench
from tests.integration.estates import NAMES, SERVICES, one_account
from tests.integration.triggered import app

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `?(?P<right>[^|`]+)`? \| (?P<requests>`[^|]+`) \|", re.MULTILINE)
LOCATED = re.compile(
    r"/subscriptions/[^/]+/providers/[^/]+/locations/[^/]+/(?P<call>\w+)/[^/]+/(?P<kind>\w+)/[^/]+", re.IGNORECASE
)
LEASES = "Microsoft.Storage/storageAccounts/blobServices/"
SPARED = {
    "Microsoft.SignalRService/webPubSub/operationStatuses/read",
    "Microsoft.SignalRService/locations/operationStatuses/webpubsub/read",
}
"""Rights that a rotation does without; the second is asked for where operations are told at their location."""
UNJUDGED = {
    f"{LEASES}containers/write",
    f"{LEASES}containers/blobs/write",
}
"""Rights that the storage emulator does not ask for."""


def table() -> Mapping[str, set[str]]:
    """The requests by the right that they need."""
    rights: dict[str, set[str]] = defaultdict(set)
    section = (ROOT / "SECURITY.md").read_text().partition("## Rights of the identity")[2].partition("\n## ")[0]
    for row in ROW.finditer(section):
        rights[row["right"]] |= set(re.findall(r"`([^`]+)`", row["requests"]))
    return rights


RIGHTS = table()


def request(entry: Mapping[str, Any]) -> str:
    """An entry of the journal as the table spells it."""
    host, path = entry["host"], entry["path"].rstrip("/")
    if host == "management.azure.com":
        if located := LOCATED.fullmatch(path):
            return f"{entry['method']} locations/*/{located['call']}/*/{_spelled(located['kind'])}/*"
        _, _, _, _, _, _, _, kind, _, *rest = path.split("/")
        rest = ["*" if re.fullmatch(r"[0-9a-f-]{36}", part) else part for part in rest]
        rest = rest[2:] if rest[:1] == ["providers"] else rest
        return f"{entry['method']} {'/'.join((f'{_spelled(kind)}/*', *rest))}"
    if host.endswith(".vault.azure.net"):
        kind, *names = path.strip("/").split("/")
        return f"{entry['method']} vault/{'/'.join((kind, *('*' for _ in names)))}"
    if host.startswith("127.0.0.1"):
        return f"{entry['method']} identity{path}"
    service = next(name for name in ("blob", "batch", "webpubsub") if f".{name}." in host)
    return f"{entry['method']} {service}{re.sub('probe', '*', path) or '/'}"


def _spelled(kind: str) -> str:
    """Azure answers with capitals where it was asked without."""
    return f"{kind[0].lower()}{kind[1:]}"


def lease_requests(log: Path) -> set[str]:
    """The requests in the log of the storage emulator as the table spells them."""
    found = re.findall(r'"(\w+) /stlocal/rotation-leases(/[^?\s]+)?(?:\?(\S+))? HTTP', log.read_text())
    queries = {"comp=lease": "?comp=lease"}
    return {f"{method} container{'/*' if blob else ''}{queries.get(query, '')}" for method, blob, query in found}


def commands(account: str) -> Iterator[tuple[str, ...]]:
    """The command line, once through."""
    yield ("doctor",)
    yield ("plan",)
    yield ("enroll", "kv-orders/new", "--resource-id", account, "--format", "json")
    yield ("rotate", "--due")
    yield ("audit", "--repair")
    yield ("rotate", "--all", "--force", "--yes")
    yield ("rotate", "kv-orders/live-connection", "--compromised", "both", "--grace", "PT0S")
    yield ("rotate", "kv-orders/live-connection", "--compromised", "idle")
    yield ("status",)


async def functions(vaults: str) -> None:
    """The functions, once through."""
    event = event_grid("kv-orders", "live-connection", current_version("kv-orders", "live-connection"))
    async with app(settings={**SETTINGS, "ROTATION_VAULTS": vaults}) as triggers:
        heard = await triggers.near_expiry({**event, "type": event["eventType"]})
        for message in (*await triggers.sweep(), *await triggers.audit(), heard):
            assert message is not None
            await triggers.rotate_account(message.encode())
        for body in ({"dry_run": True}, {"compromised": "active", "grace": "PT0S"}):
            route = {"vault": "kv-orders", "secret": "live-connection"}
            assert 200 == (await triggers.rotate_now(route, {}, json.dumps(body).encode())).status
        for query in ({}, {"deep": "true"}):
            assert 200 == (await triggers.status(query)).status


@pytest.mark.skipif(not emulator.installed(), reason="Azurite is not installed")
def test_every_request_is_listed_and_every_listed_request_is_sent(
    simulator: ControlClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command, every function, an emergency and leases, for all services."""
    batch = next(account["id"] for account in simulator.accounts() if account["type"] == "batch")
    with emulator.azurite(tmp_path / "azurite.log") as storage:
        monkeypatch.setenv("AzureWebJobsStorage", storage)
        for command in commands(batch):
            assert 0 == main(command), command
        simulator.behave(operations_located=True)
        asyncio.run(functions("kv-orders,kv-billing"))
    sent = {request(entry) for entry in simulator.journal()} | lease_requests(tmp_path / "azurite.log")

    listed = [asked for requests in RIGHTS.values() for asked in requests]
    assert len(listed) == len(set(listed)), "a request needs one right"
    assert set(listed) == sent


async def test_the_rights_of_the_services_are_those_that_their_providers_name() -> None:
    """Which is what `doctor` looks for."""
    async with bench(one_account("storage")) as run:
        providers = run.tools.providers
        assert isinstance(providers, Providers)
        named = {right for provider in providers for right in provider.rights}
    listed = {right for right in RIGHTS if right.startswith("Microsoft.") and "KeyVault" not in right}

    assert listed - UNJUDGED - SPARED == named


async def everything(run: Bench) -> None:
    """What can go wrong for the want of a right, up to where it does."""
    vault = run.tools.vaults["kv-one"]
    urgent = Request(Trigger.OPERATOR, "one", compromised=Role.IDLE)
    for step in (run.rotate, lambda: run.rotate(urgent), lambda: vault.read("nothing")):
        try:
            await step()
        except RotationError:
            continue


@pytest.mark.parametrize("right", sorted(right for right in RIGHTS.keys() - UNJUDGED if right.startswith("Microsoft.")))
async def test_a_request_needs_the_right_that_is_listed(simulator: ControlClient, right: str) -> None:
    """Without it the requests of its row are denied, and no others."""
    services = {"Batch": "batch", "Storage": "storage", "SignalRService": "webpubsub"}
    estate = one_account(services.get(right.removeprefix("Microsoft.").partition("/")[0], "storage"))
    simulator.reset(estate)
    simulator.deny(right)
    simulator.behave(operations_located="/locations/" in right)
    async with bench(estate) as run:
        await everything(run)

    assert RIGHTS[right] == {request(entry) for entry in simulator.journal() if entry["status"] == 403}


@pytest.mark.parametrize("service", SERVICES)
async def test_no_more_is_needed(simulator: ControlClient, service: str) -> None:
    """Without every other right that the simulator knows, all goes well."""
    estate = one_account(service, publications=3)
    simulator.reset(estate)
    for action in ("delete", "recover/action", "purge/action"):
        simulator.deny(f"Microsoft.KeyVault/vaults/secrets/{action}")
    async with bench(estate) as run:
        reports = [await run.rotate(), await run.rotate(Request(Trigger.OPERATOR, "one", compromised=Role.IDLE))]

    assert ["changed", "changed"] == [report.outcomes[0].status for report in reports]
    assert {NAMES[service]} == {row["account"] for row in simulator.verdict() if row["opens"]}
