"""What the functions do, over the simulator, where the runtime in front of them makes no difference."""

import asyncio
import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rotation import telemetry
from rotation.clock import SystemClock
from rotation.cloud.vault import KeyVault
from rotation.containment import contained
from rotation.errors import ChangedMeanwhile, Transient
from rotation.messages import Work, read, write
from rotation.model import Request, SecretRef
from rotation.triggers import DELIVERIES, Triggers
from simulator.client import ControlClient
from tests.functions.estate import SETTINGS
from tests.integration.engine import Later, bench
from tests.integration.estates import one_account, publication
from tests.integration.triggered import ROUTE, app, listings, over_two_vaults
from tests.seeing import regenerates, told
from tests.surface.cli.estates import MICROSOFT_SQL

WORK = Work(secrets=(SecretRef("kv-one", "secret-0"),), request=Request(id="one"), asked=SystemClock().now())

pytestmark = pytest.mark.usefixtures("host_storage")


EVENT = {
    "id": "an id that no tag can hold",
    "eventType": "Microsoft.KeyVault.SecretNearExpiry",
    "data": {"VaultName": "kv-one", "ObjectName": "secret-0", "Version": "0123456789abcdef"},
}


def two_accounts() -> dict[str, Any]:
    """Two accounts that are due."""
    storage, batch = one_account("storage"), one_account("batch")
    secret = {**batch["vaults"][0]["secrets"][0], "name": "secret-b"}
    (vault,) = storage["vaults"]
    return {
        "accounts": [*storage["accounts"], *batch["accounts"]],
        "vaults": [
            {**vault, "secrets": [*vault["secrets"], secret]},
            {"name": "kv-two", "resource_group": "rg-one", "secrets": []},
        ],
    }


async def test_the_accounts_of_a_sweep_share_a_listing(simulator: ControlClient) -> None:
    """One listing for the sweep and one for all that it queued, for as long as it is fresh."""
    simulator.reset(two_accounts())
    clock = Later()
    async with app(clock) as triggers:
        first, second = await triggers.sweep()
        await triggers.rotate_account(first.encode())
        await triggers.rotate_account(second.encode())
        shared = listings(simulator)
        clock.ahead += timedelta(seconds=31)
        await triggers.rotate_account(first.encode())

    assert (2, 3) == (shared, listings(simulator))
    assert 2 == regenerates(simulator)


async def test_what_is_left_to_other_functions_wakes_nobody(
    simulator: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A database tagged for Microsoft's functions: no error, and nothing that could be taken for overdue."""
    simulator.reset(over_two_vaults())
    simulator.add_secret("kv-one", name="sql-password", tags=MICROSOFT_SQL, created="P75D", expires="P15D")
    async with app() as triggers:
        swept, audited = await triggers.sweep(), await triggers.audit()
        (sql,) = (text for text in audited if "sql-orders" in text)
        simulator.clear_journal()
        await triggers.rotate_account(sql.encode())

    assert (1, 2) == (len(swept), len(audited))
    (attempt,) = told(caplog, "attempt")
    assert ("left", "unknown-type") == (attempt["status"], attempt["reason"])
    for event in (attempt, *(event for event in told(caplog, "queued") if "sql-orders" in event["account"])):
        assert {"due", "published", "days_left"}.isdisjoint(event)
    assert {record.levelno for record in caplog.records if "sql-orders" in record.message} == {logging.INFO}
    assert {"/secrets"} >= {entry["path"].rstrip("/") for entry in simulator.journal() if not entry["sign_in"]}


async def test_a_listing_serves_nobody_who_asked_after_it(simulator: ControlClient) -> None:
    """What somebody has just put under rotation is there for the message about it."""
    simulator.reset(over_two_vaults())
    async with app() as triggers:
        (message,) = await triggers.sweep()
        await triggers.rotate_account(message.encode())
        before = listings(simulator)
        (again,) = await triggers.audit()
        await triggers.rotate_account(again.encode())

    assert before + 2 == listings(simulator)


@pytest.mark.parametrize("slot", ["key1", "key2"])
async def test_s1_a_publication_that_was_added_since_is_not_overlooked(simulator: ControlClient, slot: str) -> None:
    """The message names one secret; meanwhile another one publishes the account, perhaps from the other slot."""
    simulator.reset(over_two_vaults())
    async with app() as triggers:
        (message,) = await triggers.sweep()
        added = publication("storage", "secret-new", "key", slot=slot, created="P1D", expires="P89D")
        simulator.add_secret("kv-two", **added)
        await triggers.rotate_account(message.encode())

    assert [] == [row for row in simulator.verdict() if not row["opens"]]
    assert 2 == len(simulator.verdict())


@pytest.mark.parametrize("delivery", [1, DELIVERIES - 1])
async def test_a_message_about_secrets_that_are_gone_is_tried_again(simulator: ControlClient, delivery: int) -> None:
    """A listing that lags behind would show the same, so that nothing may be regenerated."""
    simulator.reset(one_account("storage", publications=3))
    async with app() as triggers:
        (message,) = await triggers.sweep()
        simulator.reset(over_two_vaults())
        with pytest.raises(ChangedMeanwhile):
            await triggers.rotate_account(message.encode(), delivery)

    assert 0 == regenerates(simulator)


async def test_a_secret_that_is_gone_wakes_nobody(simulator: ControlClient) -> None:
    """The next sweep asks for those that are left; what is parked raises an alert."""
    simulator.reset(one_account("storage", publications=3))
    async with app() as triggers:
        (message,) = await triggers.sweep()
        simulator.change_secret("kv-one", "secret-0", deleted=True)
        with pytest.raises(ChangedMeanwhile):
            await triggers.rotate_account(message.encode(), DELIVERIES - 1)
        await triggers.rotate_account(message.encode(), DELIVERIES)
        before = regenerates(simulator)
        for anew in await triggers.sweep():
            await triggers.rotate_account(anew.encode())

    assert (0, 1) == (before, regenerates(simulator))


@pytest.mark.parametrize("days", [0, 3])
@pytest.mark.parametrize(
    "expiry", [253_402_300_800, 1_790_000_000_000, -62_135_596_800, 0], ids=["10000", "milliseconds", "1", "1970"]
)
async def test_an_expiry_beyond_the_calendar_stops_nobody(simulator: ControlClient, expiry: int, days: int) -> None:
    """One secret with it is as good as one without any, and its neighbour is rotated as ever."""
    estate = two_accounts()
    simulator.reset(estate)
    async with bench(estate) as work:
        vault = work.tools.vaults["kv-one"]
        assert isinstance(vault, KeyVault)
        tags = dict((await vault.read("secret-b")).tags)
        # The SDK's own names have no place for what is no time.
        await vault._client._client.set_secret("secret-b", {"value": "x", "attributes": {"exp": expiry}, "tags": tags})
    clock = Later()
    clock.ahead = timedelta(days=days)
    simulator.behave(clock_offset=clock.ahead.total_seconds())
    async with app(clock) as triggers:
        swept, audited = await triggers.sweep(), await triggers.audit()
        standing = await triggers.status({})

    assert (1, 2, 200) == (len(swept), len(audited), standing.status)
    assert ["stone"] == [str(read(message.encode()).account).rpartition("/")[2] for message in swept]


async def test_who_waits_too_long_is_sent_to_the_queue(
    simulator: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The pass goes on; the same request in the queue finds it done."""
    simulator.reset(over_two_vaults())
    async with app(patience=0) as triggers:
        reply = await triggers.rotate_now(ROUTE, {}, b'{"force": true, "request_id": "slow-one"}')
        await asyncio.gather(*triggers._going_on)
        assert reply.message is not None
        await triggers.rotate_account(reply.message.encode())

    assert 202 == reply.status
    assert "slow-one" == reply.document["request_id"] == read(reply.message).request.id
    assert ["changed", "left"] == [event["status"] for event in told(caplog, "attempt")]
    assert 1 == regenerates(simulator)


async def test_a_key_that_is_not_accepted_yet_is_finished_by_the_queue(
    simulator: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    """202, and the message publishes what was staged without regenerating again."""
    simulator.reset(over_two_vaults())
    simulator.behave(propagation_delay=2)
    async with app(settings={**SETTINGS, "ROTATION_PROBE_TIMEOUT": "PT0S"}) as triggers:
        reply = await triggers.rotate_now(ROUTE, {}, b"")
        staged = simulator.verdict()
    assert (202, "/api/status?vault=kv-one&secret=secret-0") == (reply.status, reply.headers["Location"])
    assert reply.message is not None
    async with app() as triggers:
        await triggers.rotate_account(reply.message.encode())

    assert ["key1"] == [row["slot"] for row in staged]
    waiting, finished = told(caplog, "attempt")
    assert ("staged", True) == (waiting["error"], {"to", "fingerprint"}.isdisjoint(waiting))
    assert ("key1", "key2") == (finished["from"], finished["to"])
    assert [("key2", True)] == [(row["slot"], row["opens"]) for row in simulator.verdict()]
    assert 1 == regenerates(simulator)


async def test_a_dry_run_that_takes_too_long_is_broken_off(simulator: ControlClient) -> None:
    """There is nothing to hand over, since nothing was to be changed."""
    simulator.reset(over_two_vaults())
    async with app(patience=0) as triggers:
        reply = await triggers.rotate_now(ROUTE, {}, b'{"dry_run": true}')
        status = await triggers.status({"deep": "true"})

    assert [(503, None), (503, None)] == [(answer.status, answer.message) for answer in (reply, status)]


@pytest.mark.parametrize("force", [True, False])
async def test_what_somebody_insisted_on_is_not_forgotten(simulator: ControlClient, *, force: bool) -> None:
    """A vault cannot be listed: the next sweep looks again at what is due, but would not force anything."""
    simulator.reset(over_two_vaults())
    async with app(patience=0) as triggers:
        reply = await triggers.rotate_now(ROUTE, {}, json.dumps({"force": force}).encode())
        await asyncio.gather(*triggers._going_on)
    assert reply.message is not None
    simulator.reset(over_two_vaults())
    simulator.firewall("kv-two", closed=True)
    async with app() as triggers:
        delivered = await asyncio.gather(triggers.rotate_account(reply.message.encode()), return_exceptions=True)

    assert [force] == [isinstance(result, Transient) for result in delivered]
    assert 0 == regenerates(simulator)


async def test_what_fails_when_nobody_waits_any_more_is_told(
    simulator: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends as an event and not as a complaint of asyncio."""
    simulator.reset(over_two_vaults())
    async with app(patience=0) as triggers:
        await triggers.rotate_now({**ROUTE, "secret": "nothing"}, {}, b"")
        await asyncio.gather(*triggers._going_on, return_exceptions=True)
        await asyncio.sleep(0)

    assert ["not-found"] == [event["error"] for event in told(caplog, "failed")]


async def test_a_wrong_setting_is_told_by_every_function(caplog: pytest.LogCaptureFixture) -> None:
    """Timers, events and messages say it in the log, HTTP in a problem document with every complaint."""
    bad = {"ROTATION_VAULTS": "", "ROTATION_OVERLAP": "soon"}
    async with app() as well:
        message = await well.near_expiry(EVENT)
    assert message is not None
    async with app(settings=bad) as triggers:
        assert [] == await triggers.sweep()
        assert [] == await triggers.audit()
        assert None is await triggers.near_expiry(EVENT)
        await triggers.rotate_account(message.encode())
        replies = [await triggers.rotate_now(ROUTE, {}, b""), await triggers.status({})]

    failures = told(caplog, "failed")
    functions = ["sweep", "audit", "near_expiry", "rotate_account", "rotate_now", "status"]
    assert [(name, "bad-settings") for name in functions] == [(event["function"], event["error"]) for event in failures]
    assert [503, 503] == [reply.status for reply in replies]
    for reply in replies:
        complaints = reply.document["errors"]
        assert isinstance(complaints, list)
        assert {"ROTATION_VAULTS", "ROTATION_OVERLAP"} == {text.partition(":")[0] for text in complaints}


class Unreadable(dict[str, str]):
    """An environment that fails in a way that nobody foresaw, with a text that must not be told."""

    def get(self, name: str, default: str | None = None) -> str:  # type: ignore[override]  # it never returns
        """Fail."""
        raise RuntimeError(f"SECRET {name} {default}")


async def test_what_nobody_foresaw_ends_with_its_kind_alone(caplog: pytest.LogCaptureFixture) -> None:
    """S6, S8: the text of a defect may hold anything, and the host would log it; no message is parked for it."""
    telemetry.configure()
    triggers = Triggers(Unreadable())
    assert ([], [], None) == (await triggers.sweep(), await triggers.audit(), await triggers.near_expiry(EVENT))
    await triggers.rotate_account(write(WORK).encode())
    replies = [await triggers.rotate_now(ROUTE, {}, b""), await triggers.status({})]

    failed = told(caplog, "failed")
    functions = ["sweep", "audit", "near_expiry", "rotate_account", "rotate_now", "status"]
    assert functions == [event["function"] for event in failed]
    assert {"unexpected RuntimeError; please report it"} == {event["message"] for event in failed}
    assert [500, 500] == [reply.status for reply in replies]
    assert "SECRET" not in caplog.text + "".join(reply.text for reply in replies)


async def test_an_app_that_cannot_keep_its_instances_apart_rotates_nothing(
    simulator: ControlClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S1: half a setting of the host storage is enough for the queue, and not for leases."""
    monkeypatch.delenv("AzureWebJobsStorage")
    half = {"AzureWebJobsStorage__queueServiceUri": "https://stone.queue.core.windows.net"}
    async with app(settings=SETTINGS | half) as triggers:
        reply = await triggers.rotate_now(ROUTE, {}, b"")

    assert (503, "bad-settings") == (reply.status, reply.document["code"])
    assert str(reply.document["detail"]).startswith("AzureWebJobsStorage__blobServiceUri: ")
    assert [] == simulator.journal()


async def test_a_lease_that_cannot_be_had_names_its_setting(simulator: ControlClient) -> None:
    """Whose storage it is tells nobody where to mend it; and the secret of the address is there."""
    simulator.reset(over_two_vaults())
    elsewhere = {"ROTATION_LEASES": "https://nobody.blob.core.windows.net/rotation-leases"}
    async with app(settings=SETTINGS | elsewhere) as triggers:
        reply = await triggers.rotate_now(ROUTE, {}, b"")

    assert reply.status in (409, 503)
    assert "in the storage that ROTATION_LEASES names" in str(reply.document["detail"])
    assert 0 == regenerates(simulator)


async def test_an_event_has_one_id_however_often_it_comes(simulator: ControlClient) -> None:
    """Deliveries of one event are one request, and Azure is not asked."""
    async with app() as triggers:
        texts = [await triggers.near_expiry(EVENT) for _ in range(2)]
        other = await triggers.near_expiry({**EVENT, "id": "another"})

    ids = [read(text).request.id for text in (*texts, other) if text]
    assert 3 == len(ids)
    assert ids[0] == ids[1] != ids[2]
    assert [] == simulator.journal()


async def test_an_event_about_a_secret_that_is_not_managed_is_ignored(
    simulator: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Most secrets of a vault have nothing to do with us."""
    simulator.reset(over_two_vaults())
    async with app() as triggers:
        event = {**EVENT, "data": {"VaultName": "kv-one", "ObjectName": "password", "Version": "0"}}
        message = await triggers.near_expiry(event)
        assert message is not None
        await triggers.rotate_account(message.encode())

    assert ["rotate_account"] == [event["function"] for event in told(caplog, "ignored")]
    assert [] == told(caplog, "failed")


async def test_a_vault_that_cannot_be_listed_is_raised_to_the_queue_while_waiting_helps(
    simulator: ControlClient,
) -> None:
    """A secret that is not found may be there."""
    simulator.reset(over_two_vaults())
    async with app() as triggers:
        message = await triggers.near_expiry(EVENT)
        assert message is not None
        simulator.fault(host="kv-one", path="/secrets", status=429, retry_after=60)
        with pytest.raises(Transient) as caught:
            await triggers.rotate_account(message.encode())

    assert "kv-one" in str(caught.value)


async def test_two_workers_of_one_process_do_not_meet(
    simulator: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The second is told that the account is taken, and the queue brings its message again."""
    simulator.reset(over_two_vaults())
    async with app() as triggers:
        (one,), (two,) = await triggers.sweep(), await triggers.sweep()
        results = await asyncio.gather(
            triggers.rotate_account(one.encode()), triggers.rotate_account(two.encode()), return_exceptions=True
        )

    assert ["Busy"] == [type(result).__name__ for result in results if result is not None]
    assert 1 == regenerates(simulator)
    assert [logging.INFO, logging.INFO] == [r.levelno for r in caplog.records if "rotation.attempt" in r.message]


@pytest.mark.parametrize(("order", "raised"), [({}, []), ({"force": True}, ["Busy"])], ids=["due", "forced"])
async def test_a_message_that_met_a_busy_account_to_its_end_is_parked_only_for_a_person(
    simulator: ControlClient, order: dict[str, bool], raised: list[str]
) -> None:
    """What is due is done by the pass that holds the account; what somebody insisted on may not be."""
    simulator.reset(over_two_vaults())
    async with app(patience=0.1) as triggers:
        (due,) = await triggers.sweep()
        stall = simulator.fault(method="POST", path="regenerateKey", stall=True)
        handed_over = await triggers.rotate_now(ROUTE, {}, json.dumps(order).encode())
        assert await asyncio.to_thread(simulator.hits, stall, wait=10)
        message = handed_over.message if order else due
        assert message is not None
        ended = await asyncio.gather(triggers.rotate_account(message.encode(), DELIVERIES), return_exceptions=True)
        simulator.lift()

    assert raised == [type(result).__name__ for result in ended if result is not None]
    assert 1 == regenerates(simulator)


def test_the_last_delivery_is_the_one_of_the_host() -> None:
    """The host parks a message after as many deliveries as its file says."""
    host = json.loads((Path(__file__).parents[2] / "host.json").read_text())

    assert host["extensions"]["queues"]["maxDequeueCount"] == DELIVERIES


async def test_a_cancelled_invocation_fails_with_an_answer() -> None:
    """A cancellation that leaves a function is never answered by the worker."""

    @contained
    async def waiting(seconds: float) -> None:
        await asyncio.sleep(seconds)

    invocation = asyncio.create_task(waiting(60))
    await asyncio.sleep(0)
    invocation.cancel()

    with pytest.raises(RuntimeError, match="cancelled"):
        await invocation


async def test_a_pass_outlives_its_cancelled_invocation(simulator: ControlClient) -> None:
    """It is not stopped between two writes."""
    simulator.reset(over_two_vaults())
    async with app() as triggers:
        invocation = asyncio.create_task(triggers.rotate_now(ROUTE, {}, b""))
        await asyncio.sleep(0)
        assert triggers._going_on
        invocation.cancel()
        with pytest.raises(asyncio.CancelledError):
            await invocation

    assert [("key2", True)] == [(row["slot"], row["opens"]) for row in simulator.verdict()]


@pytest.mark.parametrize("body", [b"", b'{"dry_run": true}', b'{"compromised": "active"}'])
async def test_why_a_secret_is_not_managed_is_told_to_who_names_it(simulator: ControlClient, body: bytes) -> None:
    """Who has to recover it need not look for a slip in the name; the answer is 404 all the same."""
    simulator.reset(over_two_vaults())
    simulator.change_secret("kv-one", "secret-0", deleted=True)
    async with app() as triggers:
        rotated = await triggers.rotate_now(ROUTE, {}, body)
        looked = sum(entry["path"] == "/secrets/secret-0/" for entry in simulator.journal())
        asked = await triggers.status(ROUTE)

    why = "cannot read kv-one/secret-0: it is deleted but recoverable; recover or purge it"
    assert [(404, why)] * 2 == [(reply.status, reply.document["detail"]) for reply in (rotated, asked)]
    assert 1 == looked
