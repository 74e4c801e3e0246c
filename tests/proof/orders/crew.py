"""Two workers, the queue between them, and what befalls them between two requests."""

import asyncio
import json
import traceback
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from rotation.enroll import enroll
from rotation.errors import RotationError, Transient
from rotation.model import AccountId, SecretRef
from rotation.replies import Reply
from tests.proof.orders.judge import Deeds, Judge, Ref
from tests.proof.orders.stage import Leases, Stage, Together, Worker

POINTS: Mapping[str, Mapping[str, str]] = {
    "listing a vault": {"method": "GET", "path": "^/secrets/?$"},
    "describing": {"method": "GET", "host": "^management"},
    "listing keys": {"method": "POST", "path": "/listKeys$"},
    "regenerating": {"method": "POST", "path": "/regenerateKeys?$"},
    "trying a key": {"host": r"\.(blob|batch|webpubsub)\."},
    "reading": {"method": "GET", "path": "^/secrets/."},
    "publishing": {"method": "PUT", "path": "^/secrets/."},
    "noting": {"method": "PATCH", "path": "^/secrets/."},
}
"""The requests of a pass, by what they are for."""
DELIVERIES = 5
"""How often the queue delivers a message before it parks it."""
LOOK_SECONDS = 0.006


@dataclass(frozen=True, slots=True)
class Point:
    """A moment in the work of a worker: at its next request of a kind but `skip`, before or after it takes effect."""

    doing: str
    skip: int
    when: str


@dataclass(frozen=True, slots=True)
class Message:
    """A message in the queue, and which delivery is next."""

    text: str
    delivery: int = 1

    @property
    def insists(self) -> str | None:
        """What an operator asks for in it: a role or `force`."""
        request = json.loads(self.text)["request"]
        role: str | None = request["compromised"]
        return role or ("force" if request["force"] else None)

    @property
    def secret(self) -> Ref:
        """A secret that it is about."""
        vault, name = json.loads(self.text)["secrets"][0].split("/")
        return vault, name


Job: TypeAlias = Callable[[Worker, Deeds], Coroutine[Any, Any, Reply | None]]
"""What a worker is asked to do."""


class Crew:
    """Lets workers do jobs, and has everything that they do judged."""

    def __init__(self, stage: Stage, judge: Judge, leases: Leases, workers: tuple[Worker, ...]) -> None:
        self._control = stage.control
        self._ear = stage.ear
        self._tally = stage.tally
        self._judge = judge
        self._leases = leases
        self._workers = workers
        self.queue: list[Message] = []
        self.parked: list[Message] = []
        """Messages that were delivered too often; in production somebody is woken."""
        self._told: list[str] = []

    # Jobs.

    async def sweep(self, worker: Worker, deeds: Deeds) -> None:
        """The timer: everything that has something to do goes to the queue, and from there to this worker."""
        await self._each(await (await worker.triggers()).sweep(), worker, deeds)

    async def audit(self, worker: Worker, deeds: Deeds) -> None:
        """The same for every account."""
        await self._each(await (await worker.triggers()).audit(), worker, deeds)

    async def nothing(self, worker: Worker, deeds: Deeds) -> None:
        """A worker that has no work."""

    def look(self, account: str) -> Job:
        """A full look at one account."""

        async def looking(worker: Worker, deeds: Deeds) -> None:
            texts = await (await worker.triggers()).audit()
            await self._each([text for text in texts if f"/{account}" in text], worker, deeds)

        return looking

    def event(self, ref: Ref, version: str, identity: str) -> Job:
        """Event Grid says that a version is near its expiry; its message waits in the queue."""
        event = {
            "id": identity,
            "eventType": "Microsoft.KeyVault.SecretNearExpiry",
            "data": {"VaultName": ref[0], "ObjectName": ref[1], "Version": version},
        }

        async def hearing(worker: Worker, _: Deeds) -> None:
            text = await (await worker.triggers()).near_expiry(event)
            assert text is not None
            self._put(text)

        return hearing

    def delivery(self, pick: int) -> Job:
        """One of the messages that wait."""

        async def delivering(worker: Worker, deeds: Deeds) -> None:
            if self.queue:
                await self._deliver(self.queue.pop(pick % len(self.queue)), worker, deeds)

        return delivering

    def order(self, ref: Ref, body: Mapping[str, object]) -> Job:
        """An operator asks for something over HTTP, and waits for the answer."""

        async def ordering(worker: Worker, deeds: Deeds) -> Reply:
            self._give_up(ref, str(body.get("compromised") or ("force" if body.get("force") else "")), deeds)
            route = {"vault": ref[0], "secret": ref[1]}
            reply = await (await worker.triggers()).rotate_now(route, {}, json.dumps(body).encode())
            self._told += [reply.text, *reply.headers.values()]
            if reply.message:
                self._put(reply.message)
            return reply

        return ordering

    def enrolment(self, ref: Ref, account: str) -> Job:
        """Somebody has a secret put under rotation, as the command line does it."""

        async def enrolling(worker: Worker, _: Deeds) -> None:
            engine = await (await worker.triggers())._engine()
            identity = AccountId.parse(self._control.account(account)["id"])
            try:
                outcome = await enroll(SecretRef(*ref), identity, engine.world.tools, await engine.fleet.survey())
            except RotationError as failure:
                self._told.append("".join(traceback.format_exception(failure)))
                self._tally[f"enroll {failure.code}"] += 1
            else:
                self._told.append(json.dumps(outcome.to_json()))
                for said in outcome.steps or (outcome.verdict,):
                    assert said is not None
                    self._tally[f"enroll {said.reason}"] += 1

        return enrolling

    # How they are done.

    async def does(self, job: Job, worker: int = 0) -> tuple[Deeds, Reply | None]:
        """A job is done undisturbed."""
        deeds = Deeds()
        reply = await job(self._workers[worker], deeds)
        self._look(deeds)
        self._conclude(deeds)
        return deeds, reply

    async def is_killed(self, job: Job, at: Point) -> Deeds:
        """A worker is killed on its way, if it comes to that point."""
        deeds, worker = Deeds(), self._workers[0]
        fault, task = self._stall(at), worker.begins(job(worker, deeds))
        if await self._reached(fault, task):
            await worker.kill()
            await self._quiet()
            deeds.killed = True
            self._tally[f"killed {at.when} {at.doing}"] += 1
        else:
            self._control.lift(fault)
            await task
        self._look(deeds)
        self._conclude(deeds)
        return deeds

    async def is_disturbed(self, job: Job, clock: Together, fault: str, meanwhile: Callable[[], None]) -> None:
        """While a worker waits to repeat a request that a fault has struck, something happens."""
        deeds, happening = Deeds(), asyncio.Lock()

        async def between() -> None:
            # Others of its requests may wait as well, and the first to do so after the fault sees to it; nobody goes
            # on before it has happened, or it might happen between the last look at a secret and the write.
            async with happening:
                if clock.meanwhile and self._control.hits(fault):
                    await self._quiet()
                    self._look(deeds)
                    meanwhile()
                    clock.meanwhile = None

        clock.meanwhile = between
        await job(self._workers[0], deeds)
        clock.meanwhile = None
        self._control.lift(fault)
        self._look(deeds)
        self._conclude(deeds)

    async def is_overtaken(  # noqa: PLR0913  # two jobs and what comes between them
        self,
        job: Job,
        at: Point,
        other: Job,
        *,
        lost: bool,
        other_at: Point | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> tuple[Deeds, Deeds]:
        """A worker is held up at a point, perhaps loses its lease, and another one comes by, perhaps held up itself."""
        first, second = Deeds(), Deeds()
        one, two = self._workers
        fault, task = self._stall(at), one.begins(job(one, first))
        if not await self._reached(fault, task):
            self._control.lift(fault)
            await task
            self._look(first)
            self._conclude(first)
            return first, second
        self._tally[f"held {at.when} {at.doing}"] += 1
        self._look(first)
        if meanwhile:
            meanwhile()
        without_lease = lost and self._leases.lose()
        other_fault = self._stall(other_at) if other_at else None
        overtaking = two.begins(other(two, second))
        if other_fault and not await self._reached(other_fault, overtaking):
            self._control.lift(other_fault)
            other_fault = None
        if other_fault is None:
            await overtaking
        self._look(second)
        written = first.writes
        self._judge.give_up(first)
        self._control.lift(fault)
        await task
        self._look(first)
        assert not without_lease or written == first.writes, "a pass that lost its lease went on writing"
        self._tally["went on without its lease"] += without_lease
        if other_fault:
            self._judge.give_up(second)
            self._control.lift(other_fault)
            await overtaking
            self._look(second)
        self._conclude(first, second)
        return first, second

    # Within a job.

    async def _each(self, texts: list[str], worker: Worker, deeds: Deeds) -> None:
        messages = [self._put(text) for text in texts]
        for message in messages:
            self.queue.remove(message)
            await self._deliver(message, worker, deeds)

    async def _deliver(self, message: Message, worker: Worker, deeds: Deeds) -> None:
        self._give_up(message.secret, message.insists or "", deeds)
        try:
            await (await worker.triggers()).rotate_account(message.text.encode(), message.delivery)
        except Transient as failure:
            self._told.append("".join(traceback.format_exception(failure)))
            self._bring_back(message)
        except asyncio.CancelledError:
            self._bring_back(message)
            raise

    def _put(self, text: str) -> Message:
        self._told.append(text)
        message = Message(text)
        self.queue.append(message)
        return message

    def _bring_back(self, message: Message) -> None:
        if message.delivery < DELIVERIES:
            self.queue.append(replace(message, delivery=message.delivery + 1))
        else:
            self.parked.append(message)

    def _give_up(self, ref: Ref, asked: str, deeds: Deeds) -> None:
        """An operator who insists takes promises back."""
        if asked and (row := self._judge.current.get(ref)) and row["account"]:
            deeds.account, deeds.every = row["account"], asked in ("active", "both")
            self._judge.give_up(deeds)

    # Between requests.

    def _stall(self, at: Point) -> str:
        return self._control.fault(stall=True, times=1, skip=at.skip, when=at.when, **POINTS[at.doing])

    async def _reached(self, fault: str, task: asyncio.Task[Any]) -> bool:
        """Wait until the job is held up at the fault with nothing else under way, or has come to its end."""
        while not task.done():
            if await asyncio.to_thread(self._control.hits, fault):
                await self._quiet()
                return True
            await asyncio.sleep(LOOK_SECONDS)
        return False

    async def _quiet(self) -> None:
        """Wait until what was sent at the same time has come to its end, and nothing follows."""
        before: list[int] = []
        while True:
            requests = await asyncio.to_thread(self._control.journal, self._judge.heard)
            pending = [request["n"] for request in requests if request["duration"] is None]
            now = [len(requests), *pending]
            if now == before and len(pending) <= 1:
                return
            before = now
            await asyncio.sleep(LOOK_SECONDS)

    def _look(self, deeds: Deeds) -> None:
        events, self._ear.events = self._ear.events, []
        self._judge.engine_acted(deeds, events)

    def _conclude(self, *deeds: Deeds) -> None:
        told, self._ear.heard, self._told = [*self._ear.heard, *self._told], [], []
        self._judge.silent(told)
        self._judge.after(deeds)
        for each in deeds:
            for event in each.events:
                self._tally[f"{event['status']}: {event.get('error') or event['reason']}"] += 1
                self._tally.update(event.get("steps", ()))
