"""Operators who ask for more than what is due, while other passes go on: what they mean is done, and once."""

import asyncio
import json
import logging
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from rotation.clock import SystemClock
from rotation.errors import ChangedMeanwhile, Staged, Throttled
from rotation.replies import Reply
from rotation.triggers import Triggers
from simulator.client import ControlClient
from tests.functions.estate import SETTINGS
from tests.integration.engine import Later
from tests.integration.estates import publication
from tests.integration.triggered import ROUTE, app, listings, over_two_vaults
from tests.seeing import changes, regenerates, told

pytestmark = pytest.mark.usefixtures("host_storage")

EMERGENCY = {"compromised": "active", "request_id": "incident-7"}
FORCED = {"force": True, "request_id": "incident-7"}
IMPATIENT = {**SETTINGS, "ROTATION_PROBE_TIMEOUT": "PT0S"}


@pytest.fixture(autouse=True)
def due(simulator: ControlClient) -> None:
    """One account that is due."""
    simulator.reset(over_two_vaults())


async def ask(triggers: Triggers, **body: Any) -> Reply:
    """Ask for a rotation over HTTP."""
    return await triggers.rotate_now(ROUTE, {}, json.dumps(body).encode())


async def sweep(triggers: Triggers) -> None:
    """A sweep, and what it queued."""
    for message in await triggers.sweep():
        await triggers.rotate_account(message.encode())


def published(simulator: ControlClient) -> list[tuple[str, bool]]:
    """The slot of each publication, and whether its value opens the account."""
    return [(row["slot"], row["opens"]) for row in simulator.verdict()]


def suspects(reply: Reply) -> list[dict[str, Any]]:
    """The keys that an emergency means, as the queue is told."""
    told: list[dict[str, Any]] = json.loads(reply.message or "")["request"]["suspects"]
    return told


def keys(simulator: ControlClient) -> dict[str, str]:
    """The fingerprints of the account's keys, by slot."""
    (account,) = simulator.accounts()
    return {slot: key["fingerprint"] for slot, key in account["slots"].items()}


def begin_fresh(simulator: ControlClient, *names: str) -> None:
    """One account that was published an hour ago, by a secret in each vault."""
    estate = over_two_vaults()
    for vault, name in zip(estate["vaults"], names, strict=False):
        vault["secrets"] = [publication("storage", name, "key", created="PT1H", expires="P90D")]
    simulator.reset(estate)


async def handed_over(simulator: ControlClient, *, twice: bool = False) -> bytes:
    """The message of an emergency that met another pass on an account that is fresh, and published twice perhaps."""
    begin_fresh(simulator, *(("secret-0", "secret-1") if twice else ("secret-0",)))
    async with app() as busy, app() as triggers:
        (message,) = await busy.audit()
        stall = simulator.fault(method="POST", path="listKeys", stall=True, times=1)
        auditing = asyncio.create_task(busy.rotate_account(message.encode()))
        await asyncio.to_thread(simulator.hits, stall, wait=10)
        reply = await ask(triggers, **EMERGENCY, grace="PT0S")
        simulator.lift(stall)
        await auditing
    assert HTTPStatus.ACCEPTED == reply.status
    return (reply.message or "").encode()


@pytest.mark.parametrize("order", [{}, EMERGENCY, FORCED], ids=["usual", "emergency", "forced"])
async def test_what_is_asked_for_is_listed_once(simulator: ControlClient, order: dict[str, Any]) -> None:
    """Which key is meant and what to do about it are told by the same listing; who asks later gets another one."""
    async with app() as triggers:
        reply = await ask(triggers, **order)
        assert (HTTPStatus.OK, 1) == (reply.status, listings(simulator))
        await ask(triggers, **order)

    assert 2 == listings(simulator)


async def test_a_grace_beyond_the_overlap_is_a_slip(simulator: ControlClient) -> None:
    """P10D for PT10M would leave the leaked key alive for days."""
    async with app() as triggers:
        reply = await ask(triggers, **EMERGENCY, grace="P10D")

    assert HTTPStatus.BAD_REQUEST == reply.status
    assert "P10D, longer than ROTATION_OVERLAP, P2D" in str(reply.document)
    assert [] == changes(simulator)


@pytest.mark.parametrize("order", [EMERGENCY, FORCED], ids=["emergency", "forced"])
async def test_what_was_staged_for_a_request_is_its_own_whoever_publishes_it(
    simulator: ControlClient, caplog: pytest.LogCaptureFixture, order: dict[str, Any]
) -> None:
    """S2: the caller is told to come back, and a sweep finishes it before the message does."""
    simulator.behave(propagation_delay=2)
    async with app(settings=IMPATIENT) as triggers:
        reply = await ask(triggers, **order)
    assert 202 == reply.status
    assert str(json.loads(reply.message or "")["account"]).endswith("/stone")
    async with app() as triggers:
        await sweep(triggers)
        await triggers.rotate_account((reply.message or "").encode())
        again = await ask(triggers, **order)

    assert ["staged", None, None, None] == [attempt.get("error") for attempt in told(caplog, "attempt")]
    assert ["already-done", "already-done"] == [attempt["reason"] for attempt in told(caplog, "attempt")[2:]]
    assert (200, 1, [("key2", True)]) == (again.status, regenerates(simulator), published(simulator))


async def test_who_is_sent_away_in_an_emergency_is_told_how_to_see_that_it_is_over(simulator: ControlClient) -> None:
    """The queue shows nobody what waits in it; the fingerprint of what leaked is there until that has ended."""
    simulator.behave(propagation_delay=2)
    leaked = keys(simulator)["key1"]
    async with app(settings=IMPATIENT) as triggers:
        reply = await ask(triggers, **EMERGENCY, grace="PT0S")
        where = parse_qs(urlsplit(str(reply.document["look"])).query, strict_parsing=True)
        deep = {name: value for name, (value,) in where.items()} | {"deep": "true"}
        before = await triggers.status(deep)
    async with app() as triggers:
        await triggers.rotate_account((reply.message or "").encode())
        after = await triggers.status(deep)

    assert 202 == reply.status
    told = f"the leaked key {leaked} works for as long as `look`, with &deep=true, tells that fingerprint"
    assert f"the queue goes on with it; {told}" == reply.document["next"]
    assert [True, False] == [leaked in str(answer.document) for answer in (before, after)]


async def test_an_emergency_is_not_done_while_the_leaked_key_works_on(simulator: ControlClient) -> None:
    """It is to end at once, and its successor is not listed yet: the queue sees to it that it ends."""
    leaked = keys(simulator)["key1"]
    simulator.behave(list_delay=1)
    async with app() as triggers:
        reply = await ask(triggers, **EMERGENCY, grace="PT0S")
        before = keys(simulator)
        await asyncio.sleep(1)
        await triggers.rotate_account((reply.message or "").encode())

    assert (202, True) == (reply.status, leaked in before.values())
    assert f"the leaked key {leaked} works for as long as" in str(reply.document["next"])
    assert leaked not in keys(simulator).values()
    assert [("key2", True)] == published(simulator)


@pytest.mark.parametrize("order", [{"request_id": "change-17"}, FORCED], ids=["usual", "forced"])
async def test_who_is_sent_away_is_told_how_to_learn_that_it_is_done(
    simulator: ControlClient, order: dict[str, Any]
) -> None:
    """The same request is answered with `already-done`, whoever carried it out."""
    simulator.behave(propagation_delay=2)
    async with app(settings=IMPATIENT) as triggers:
        reply = await ask(triggers, **order)
    async with app() as triggers:
        await triggers.rotate_account((reply.message or "").encode())
        again = await ask(triggers, **order)

    assert 202 == reply.status
    assert (
        f"the queue goes on with it; asked for again with request_id {order['request_id']} it is not done twice, and "
        "`already-done` says that it was carried out"
    ) == reply.document["next"]
    assert "already-done" == json.loads(again.text)["accounts"][0]["verdict"]["reason"]


@pytest.mark.parametrize(("said", "grace"), [({}, 15), ({"grace": "PT1H"}, 60)], ids=["usual", "told"])
async def test_a_compromised_key_has_the_grace_of_the_settings(
    simulator: ControlClient, said: dict[str, str], grace: int
) -> None:
    """Without a word about it applications have time to read the new key."""
    async with app() as triggers:
        before = keys(simulator)
        reply = await ask(triggers, **EMERGENCY, **said)

    (account,) = json.loads(reply.text)["accounts"]
    (step,) = account["steps"]
    left = datetime.fromisoformat(step["retire_at"]) - SystemClock().now()
    assert timedelta(minutes=grace - 1) < left < timedelta(minutes=grace)
    assert before["key1"] == keys(simulator)["key1"]


async def test_who_comes_back_finds_it_done_by_a_sweep(simulator: ControlClient) -> None:
    """S2: the secret could not be written at first; the key that was made for it is published by another pass."""
    simulator.deny("Microsoft.KeyVault/vaults/secrets/setSecret/action")
    async with app() as triggers:
        failed = await ask(triggers, **FORCED)
        simulator.allow_all()
        await sweep(triggers)
        again = await ask(triggers, **FORCED)

    assert (502, 200, 1) == (failed.status, again.status, regenerates(simulator))
    assert [("key2", True)] == published(simulator)


async def test_a_key_that_a_sweep_replaced_first_has_its_grace_too(simulator: ControlClient) -> None:
    """The order waits for the pass that holds the account; applications learn of the new key from that pass only."""
    later = Later()
    async with app() as busy, app(later) as triggers:
        (message,) = await busy.sweep()
        stall = simulator.fault(method="POST", path="listKeys", stall=True, times=1)
        sweeping = asyncio.create_task(busy.rotate_account(message.encode()))
        await asyncio.to_thread(simulator.hits, stall, wait=10)
        leaked = keys(simulator)["key1"]
        reply = await ask(triggers, **EMERGENCY, grace="PT2H")
        simulator.lift(stall)
        await sweeping

        for _ in range(2):
            await triggers.rotate_account((reply.message or "").encode())
        meanwhile = keys(simulator)["key1"]
        later.ahead = timedelta(hours=2, minutes=1)
        await sweep(triggers)

    assert 202 == reply.status
    assert leaked == meanwhile != keys(simulator)["key1"]
    assert [("key2", True)] == published(simulator)


async def test_an_idle_key_that_is_gone_already_is_no_other_one(simulator: ControlClient) -> None:
    """S2: a new key waits in its place; once that is published, the idle key is the one that applications had."""
    refused = simulator.fault(host="blob", status=403, code="AuthenticationFailed")
    async with app(settings=IMPATIENT) as triggers:
        with pytest.raises(Staged):
            await sweep(triggers)
        reply = await ask(triggers, compromised="idle", request_id="incident-7")
    simulator.lift(refused)
    async with app() as triggers:
        await sweep(triggers)
        rotated = keys(simulator)
        await triggers.rotate_account((reply.message or "").encode())

    assert (202, [("key2", True)]) == (reply.status, published(simulator))
    assert rotated == keys(simulator)


@pytest.mark.parametrize("role", ["active", "idle"])
async def test_a_compromised_key_is_the_one_that_was_meant_when_it_was_declared(
    simulator: ControlClient, role: str
) -> None:
    """S2: another pass holds the account, and changes which key is active before the request has its turn."""
    async with app() as busy, app() as triggers:
        (message,) = await busy.sweep()
        stall = simulator.fault(method="POST", path="listKeys", stall=True, times=1)
        sweeping = asyncio.create_task(busy.rotate_account(message.encode()))
        await asyncio.to_thread(simulator.hits, stall, wait=10)
        before = keys(simulator)

        reply = await ask(triggers, compromised=role, grace=None if role == "idle" else "PT0S", request_id="incident-7")
        simulator.lift(stall)
        await sweeping
        assert [("key2", True)] == published(simulator)
        rotated = keys(simulator)
        await triggers.rotate_account((reply.message or "").encode())

    meant, other = ("key1", "key2") if role == "active" else ("key2", "key1")
    assert 202 == reply.status
    assert before[meant] != keys(simulator)[meant]
    assert rotated[other] == keys(simulator)[other]
    assert [("key2", True)] == published(simulator)


async def test_who_was_not_understood_is_not_told_that_it_was_accepted(simulator: ControlClient) -> None:
    """Nobody could ask whether a value is drift, so that it was not known which key is meant; nothing is queued."""
    simulator.behave(propagation_delay=60)
    simulator.regenerate("stone", "key1")
    simulator.fault(host="blob", times=1, status=503)
    async with app(settings=IMPATIENT) as triggers:
        reply = await ask(triggers, **EMERGENCY)
        again = await ask(triggers, **EMERGENCY)

    assert (503, None, "60") == (reply.status, reply.message, reply.headers["Retry-After"])
    assert ("not-yet-true", True) == (reply.document["code"], "report" in reply.document)
    assert str(reply.document["detail"]).endswith(
        "ask again with request_id incident-7 and the role that stands beside it"
    )
    assert (202, {"key1"}) == (again.status, {key["slot"] for key in suspects(again)})


async def test_who_was_not_understood_in_time_is_told_to_ask_again(simulator: ControlClient) -> None:
    """The pass that goes on may yet find out what is meant; whoever asks again with the same id finds it done."""
    simulator.regenerate("stone", "key1")
    simulator.fault(host="blob", times=1, status=503)
    stall = simulator.fault(host="kv-two", path="/secrets", stall=True)
    later = Later()
    async with app(later, patience=60) as triggers:
        asking = asyncio.create_task(ask(triggers, **EMERGENCY))
        await asyncio.to_thread(simulator.hits, stall, wait=10)
        later.ahead = timedelta(seconds=60)
        simulator.lift(stall)
        reply = await asking
    async with app(later) as triggers:
        again = await ask(triggers, **EMERGENCY)

    assert (503, None, "60") == (reply.status, reply.message, reply.headers["Retry-After"])
    assert str(reply.document["detail"]).endswith(
        "ask again with request_id incident-7 and the role that stands beside it"
    )
    assert (200, 1, [("key2", True)]) == (again.status, regenerates(simulator), published(simulator))


async def test_a_caller_is_answered_in_time_although_the_clock_is_set_back(simulator: ControlClient) -> None:
    """The platform hangs up on who is not, and then nothing is in the queue."""
    look = simulator.fault(method="POST", path="listKeys", stall=True, times=1)
    work = simulator.fault(method="POST", path="regenerateKey", stall=True, times=1)
    later = Later()
    async with app(later, patience=3) as triggers:
        asking = asyncio.create_task(ask(triggers, **EMERGENCY))
        await asyncio.to_thread(simulator.hits, look, wait=2)
        later.ahead = -timedelta(minutes=10)
        simulator.lift(look)
        await asyncio.wait([asking], timeout=60)
        answered = asking.done()
        simulator.lift(work)
        reply = await asking

    assert (True, 202) == (answered, reply.status)
    assert reply.message


@pytest.mark.parametrize("denied", [False, True], ids=["replaced", "failed"])
async def test_an_emergency_tells_which_key_it_means(
    simulator: ControlClient, caplog: pytest.LogCaptureFixture, *, denied: bool
) -> None:
    """Neither the new key nor the idle one that it has replaced is the leaked one, for which somebody looks later."""
    before = keys(simulator)
    if denied:
        simulator.fault(host="vault", method="PUT", status=403)
    async with app() as triggers:
        reply = await ask(triggers, **EMERGENCY)

    report: Any = reply.document["report"] if denied else reply.document
    (account,) = report["accounts"]
    assert [{"slot": "key1", "fingerprint": before["key1"]}] == account.get("meant")
    assert before["key2"] == account["steps"][0]["replaced"]
    assert [[before["key1"]]] == [attempt.get("meant") for attempt in told(caplog, "attempt")]
    named = f"the leaked key (key1 {before['key1']}); only while"
    assert (denied, 502 if denied else 200) == (named in str(reply.document.get("detail")), reply.status)


async def test_an_emergency_whose_notes_did_not_reach_all_is_finished_by_its_repetition(
    simulator: ControlClient,
) -> None:
    """Its grace is shorter than that of the one that was carried out, and one secret could not be noted."""
    begin_fresh(simulator, "secret-0", "secret-1")
    async with app() as busy, app() as triggers:
        stall = simulator.fault(method="POST", path="listKeys", stall=True, times=1, skip=1)
        asking = asyncio.create_task(ask(busy, compromised="active", grace="PT6H", request_id="incident-6"))
        await asyncio.to_thread(simulator.hits, stall, wait=10)
        meanwhile = await ask(triggers, **EMERGENCY)
        simulator.lift(stall)
        await asking
        denied = simulator.fault(method="PATCH", path="secret-1", status=403)
        await triggers.rotate_account((meanwhile.message or "").encode())
        simulator.lift(denied)
        before = len(changes(simulator))
        again = await ask(triggers, **EMERGENCY)
        status = json.loads((await triggers.status({})).text)

    assert 200 == again.status
    assert ["PATCH"] == [change.partition(" ")[0] for change in changes(simulator)[before:]]
    (account,) = status["accounts"]
    assert datetime.fromisoformat(account["retire_at"]) < SystemClock().now() + timedelta(hours=1)


async def test_an_emergency_means_no_key_of_the_account_that_its_secret_names_since(simulator: ControlClient) -> None:
    """S2: what was declared were the keys of another account."""
    estate = over_two_vaults()
    estate["accounts"].append({"type": "storage", "name": "other", "resource_group": "rg-one"})
    simulator.reset(estate)
    (other,) = (account["id"] for account in simulator.accounts() if account["name"] == "other")
    stall = simulator.fault(method="POST", path="stone/listKeys", stall=True, times=1)
    later = Later()
    async with app(later, patience=60) as triggers:
        asking = asyncio.create_task(ask(triggers, **EMERGENCY))
        await asyncio.to_thread(simulator.hits, stall, wait=10)
        later.ahead = timedelta(seconds=31)
        simulator.change_secret("kv-one", "secret-0", tags={"resource-id": other})
        simulator.lift(stall)
        reply = await asking

    assert (503, "changed-meanwhile") == (reply.status, reply.document.get("code"))
    assert [] == changes(simulator)


async def test_a_compromised_key_ends_although_the_secret_that_was_named_is_gone(simulator: ControlClient) -> None:
    """S1: only a listing that does not lag, a minute later, tells that it is."""
    message = await handed_over(simulator, twice=True)
    before = keys(simulator)
    simulator.change_secret("kv-one", "secret-0", deleted=True)
    async with app() as triggers:
        with pytest.raises(ChangedMeanwhile):
            await triggers.rotate_account(message)
        meanwhile = keys(simulator)
        await triggers.rotate_account(message, 2)

    assert before == meanwhile
    assert set(before.values()).isdisjoint(keys(simulator).values())
    assert [("key2", True)] == published(simulator)


@pytest.mark.parametrize("known", [True, False], ids=["account", "no account"])
async def test_an_emergency_that_finds_nothing_any_more_wakes_somebody(
    simulator: ControlClient, caplog: pytest.LogCaptureFixture, *, known: bool
) -> None:
    """The leaked key still works, and no sweep would meet it."""
    message = await handed_over(simulator)
    if not known:
        message = json.dumps({**json.loads(message), "account": None}).encode()
    simulator.change_secret("kv-one", "secret-0", deleted=True)
    async with app() as triggers:
        await triggers.rotate_account(message, 2)

    failures = [(event["error"], event["request_id"], event["message"][:44]) for event in told(caplog, "failed")]
    assert [("not-found", "incident-7", "kv-one/secret-0: no managed secret of that n")] == failures
    assert logging.ERROR in [record.levelno for record in caplog.records if "rotation.failed" in record.message]
    assert 0 == regenerates(simulator)


async def test_an_account_may_be_published_in_a_vault_that_cannot_be_listed(simulator: ControlClient) -> None:
    """The emergency waits until it can be."""
    message = await handed_over(simulator)
    simulator.change_secret("kv-one", "secret-0", deleted=True)
    simulator.fault(host="kv-two", path="/secrets", status=429, retry_after=60)
    async with app() as triggers:
        with pytest.raises(Throttled, match="kv-two"):
            await triggers.rotate_account(message, 2)


async def test_a_secret_that_was_named_and_cannot_be_read_any_more_is_told(
    simulator: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody broke its tags meanwhile, and no other publishes the account."""
    message = await handed_over(simulator)
    simulator.change_secret("kv-one", "secret-0", tags={"resource-id": "stone"})
    async with app() as triggers:
        await triggers.rotate_account(message)

    assert ["tags-unreadable"] == [attempt.get("reason") for attempt in told(caplog, "attempt")[-1:]]


async def test_what_a_sweep_finds_no_more_wakes_nobody(
    simulator: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody deleted the last secret of an account."""
    async with app() as triggers:
        (message,) = await triggers.sweep()
        simulator.change_secret("kv-one", "secret-0", deleted=True)
        await triggers.rotate_account(message.encode(), 2)

    assert (1, []) == (len(told(caplog, "ignored")), told(caplog, "failed"))
