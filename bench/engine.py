"""Our engine as a program to be measured: prints what it did as JSON.

python -m bench.engine fleet CONCURRENCY | profile CONCURRENCY | single | sweep | fill QUEUE | worker QUEUE
"""

import asyncio
import gc
import json
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from bench.profiling import sampled, shares
from rotation import calls
from rotation.errors import Transient
from rotation.fleet import Fleet
from rotation.model import Request
from rotation.report import Outcome
from rotation.settings import Settings
from rotation.wiring import engine

if TYPE_CHECKING:
    # Only workers need them, and what is imported is measured.
    from azure.storage.queue.aio import QueueClient

    from rotation.triggers import Triggers

DELIVERIES = 5
"""How often the work queue brings a message."""
AT_ONCE = 12
"""Messages that one worker works on: `batchSize` and `newBatchThreshold` of host.json."""
CONNECTION = "BENCH_QUEUE"

_WELL = frozenset({"changed", "left"})
"""How a pass over an account ends well; one that is delivered again may find that all is done."""


async def fleet(concurrency: int) -> dict[str, Any]:
    """Rotate all that is due; what waiting may mend is delivered again, as the work queue does it."""
    async with engine(Settings.from_environment(os.environ)) as world:
        cpu, started = time.process_time(), time.monotonic()
        passes = Fleet(world.tools, concurrency)
        with calls.counted() as made:
            survey = await passes.survey()
            listed = time.monotonic()
            groups, _ = passes.sift(survey, Request())
            due = len(groups)
            ends: dict[str, str] = {}
            delivered_again = 0
            for _ in range(DELIVERIES):
                report = await passes.rotate(survey, groups, Request())
                ends |= {outcome.account: _word(outcome) for outcome in report.outcomes}
                again = {o.account for o in report.outcomes if isinstance(o.error, Transient)}
                groups = tuple(group for group in groups if str(group.account) in again)
                if not groups:
                    break
                delivered_again += len(groups)
        return {
            "due": due,
            "ends": Counter(ends.values()),
            "delivered_again": delivered_again,
            "failed": due - sum(word in _WELL for word in ends.values()),
            "listing": listed - started,
            "wall": time.monotonic() - started,
            "cpu": time.process_time() - cpu,
            "calls": made.number,
        }


async def single() -> dict[str, Any]:
    """Rotate accounts one after the other, after one of each kind so that every SDK is imported and signed in."""
    async with engine(Settings.from_environment(os.environ)) as world:
        passes = Fleet(world.tools, 1)
        survey = await passes.survey()
        kinds = {group.account.resource_type: group for group in survey.groups}
        await passes.rotate(survey, tuple(kinds.values()), Request())
        took = {}
        for group in survey.groups:
            if group not in kinds.values():
                started = time.monotonic()
                await passes.rotate(survey, (group,), Request())
                took[group.account.name] = time.monotonic() - started
        return {"took": took}


async def sweep() -> dict[str, Any]:
    """One run of the timer."""
    async with engine(Settings.from_environment(os.environ)) as world:
        gc.collect()
        before, cpu, started = _peak(), time.process_time(), time.monotonic()
        with calls.counted() as made:
            found = await Fleet(world.tools).sweep()
        return {
            "accounts": found.accounts,
            "queued": len(found.groups),
            "wall": time.monotonic() - started,
            "cpu": time.process_time() - cpu,
            "calls": made.number,
            "grown": _peak() - before,
        }


async def fill(queue: str) -> dict[str, Any]:
    """Put what is due on a queue, as the timer does."""
    async with _queue(queue) as (triggers, messages):
        await messages.create_queue()
        due = await triggers.sweep()
        for message in due:
            await messages.send_message(message)
    return {"queued": len(due)}


async def worker(queue: str) -> dict[str, Any]:
    """Work on messages of a queue until there are none."""
    async with _queue(queue) as (triggers, messages):
        cpu, started = time.process_time(), time.monotonic()
        done = sum(await asyncio.gather(*(_work(triggers, messages) for _ in range(AT_ONCE))))
        return {"done": done, "wall": time.monotonic() - started, "cpu": time.process_time() - cpu}


@asynccontextmanager
async def _queue(name: str) -> AsyncIterator[tuple["Triggers", "QueueClient"]]:
    from azure.storage.queue.aio import QueueClient  # noqa: PLC0415  as above

    from rotation.triggers import Triggers  # noqa: PLC0415  as above

    triggers = Triggers(os.environ)
    async with QueueClient.from_connection_string(os.environ[CONNECTION], name) as messages:
        yield triggers, messages
    await triggers.close()


async def _work(triggers: "Triggers", messages: "QueueClient") -> int:
    done = 0
    while (message := await messages.receive_message(visibility_timeout=600)) is not None:
        await triggers.rotate_account(message.content.encode(), message.dequeue_count)
        await messages.delete_message(message)
        done += 1
    return done


async def profile(concurrency: int) -> dict[str, Any]:
    """The same as `fleet`, with what its processor time was spent on."""
    with sampled() as samples:
        told = await fleet(concurrency)
    return {**told, **shares(samples)}


def _word(outcome: Outcome) -> str:
    return outcome.error.code if outcome.error else outcome.status


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def main(mode: str, *arguments: str) -> dict[str, Any]:
    """Do as the command line says."""
    match mode:
        case "fleet":
            return await fleet(int(arguments[0]))
        case "profile":
            return await profile(int(arguments[0]))
        case "single":
            return await single()
        case "sweep":
            return await sweep()
        case "fill":
            return await fill(arguments[0])
    return await worker(arguments[0])


if __name__ == "__main__":
    mode, *arguments = sys.argv[1:]
    print(json.dumps(asyncio.run(main(mode, *arguments))))  # noqa: T201  what it is for
