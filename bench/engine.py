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
from cProfile import Profile
from typing import Any

from azure.storage.queue.aio import QueueClient

from bench.profiling import shares
from rotation import calls
from rotation.errors import Transient
from rotation.fleet import Fleet
from rotation.model import Request
from rotation.report import Outcome
from rotation.settings import Settings
from rotation.triggers import Triggers
from rotation.wiring import engine

DELIVERIES = 5
"""How often the work queue brings a message."""
AT_ONCE = 12
"""Messages that one worker works on: `batchSize` and `newBatchThreshold` of host.json."""
CONNECTION = "BENCH_QUEUE"


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
            rounds: list[dict[str, int]] = []
            for _ in range(DELIVERIES):
                report = await passes.rotate(survey, groups, Request())
                rounds.append(dict(Counter(map(_word, report.outcomes))))
                again = {o.account for o in report.outcomes if isinstance(o.error, Transient)}
                groups = tuple(group for group in groups if str(group.account) in again)
                if not groups:
                    break
        return {
            "due": due,
            "rounds": rounds,
            "failed": len(groups) + sum(count for word, count in rounds[-1].items() if word != "changed"),
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
    triggers = Triggers(os.environ)
    async with QueueClient.from_connection_string(os.environ[CONNECTION], queue) as messages:
        await messages.create_queue()
        due = await triggers.sweep()
        for message in due:
            await messages.send_message(message)
    await triggers.close()
    return {"queued": len(due)}


async def worker(queue: str) -> dict[str, Any]:
    """Work on messages of a queue until there are none."""
    triggers = Triggers(os.environ)
    async with QueueClient.from_connection_string(os.environ[CONNECTION], queue) as messages:
        cpu, started = time.process_time(), time.monotonic()
        done = sum(await asyncio.gather(*(_work(triggers, messages) for _ in range(AT_ONCE))))
        told = {"done": done, "wall": time.monotonic() - started, "cpu": time.process_time() - cpu}
    await triggers.close()
    return told


async def _work(triggers: Triggers, messages: QueueClient) -> int:
    done = 0
    while (message := await messages.receive_message(visibility_timeout=600)) is not None:
        await triggers.rotate_account(message.content.encode(), message.dequeue_count)
        await messages.delete_message(message)
        done += 1
    return done


def profile(concurrency: str) -> dict[str, Any]:
    """The same as `fleet`, with what its processor time was spent on; the profiler doubles it."""
    profiler = Profile(time.process_time)
    told = profiler.runcall(asyncio.run, main("fleet", concurrency))
    return {**told, **shares(profiler)}


def _word(outcome: Outcome) -> str:
    return outcome.error.code if outcome.error else outcome.status


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def main(mode: str, *arguments: str) -> dict[str, Any]:
    """Do as the command line says."""
    match mode:
        case "fleet":
            return await fleet(int(arguments[0]))
        case "single":
            return await single()
        case "sweep":
            return await sweep()
        case "fill":
            return await fill(arguments[0])
    return await worker(arguments[0])


if __name__ == "__main__":
    mode, *arguments = sys.argv[1:]
    told = profile(*arguments) if mode == "profile" else asyncio.run(main(mode, *arguments))
    print(json.dumps(told))  # noqa: T201  what it is for
