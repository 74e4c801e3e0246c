"""The part of the Functions host that works on the queue: outputs go in, and messages come out to the function.

Source of the rules: learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue.
"""

import asyncio
import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from azure.core.exceptions import ResourceExistsError

from tests.functions.harness import App, Invocation

if TYPE_CHECKING:
    # It imports aiohttp, which reads the trusted certificates then: too early while conftest files are read.
    from azure.storage.queue import QueueMessage
    from azure.storage.queue.aio import QueueClient

WORKER = "rotate_account"
QUEUE = "rotation-work"
INVISIBLE = 600
"""Seconds for which the host hides a message that it works on."""
FOREVER = -1


@dataclass(frozen=True, slots=True)
class Rules:
    """What host.json says about queues."""

    batch: int
    attempts: int
    wait: int
    """Seconds until a message that failed is seen again."""

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Read the host.json of an app."""
        told = json.loads((folder / "host.json").read_text())["extensions"]["queues"]
        return cls(
            batch=told["batchSize"],
            attempts=told["maxDequeueCount"],
            wait=_seconds(told["visibilityTimeout"]),
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One message that was handed to the function; without an invocation when it was not even decoded."""

    text: str
    count: int
    invocation: Invocation | None
    given_up: bool = False

    @property
    def error(self) -> str | None:
        """The name of the error that was raised to the queue."""
        raised = self.invocation and self.invocation.error
        return raised.partition(":")[0] if raised else None


class Queues:
    """The work queue and its poison queue; messages are encoded as the host does it unless they are `raw`."""

    def __init__(self, work: "QueueClient", poison: "QueueClient") -> None:
        self.work = work
        self.poison = poison

    async def put(self, texts: Iterable[str]) -> None:
        """Put messages into the work queue."""
        for text in texts:
            await self.put_raw(_encoded(text))

    async def put_raw(self, text: str) -> None:
        """Put a message as it is."""
        await self.work.send_message(text)

    async def waiting(self) -> list[str]:
        """The messages that can be received now."""
        return [_decoded(message) or message.content for message in await self.work.peek_messages(32)]

    async def poisoned(self) -> list[str]:
        """The messages that were given up."""
        return [_decoded(message) or message.content for message in await self.poison.peek_messages(32)]

    async def clear(self) -> None:
        """Forget all messages, also hidden ones."""
        await self.work.clear_messages()
        await self.poison.clear_messages()


class Listener:
    """Takes messages from the queue to the function."""

    def __init__(self, app: App, queues: Queues, rules: Rules) -> None:
        self._app = app
        self._queues = queues
        self._rules = rules

    async def once(self) -> list[Attempt]:
        """Work on one batch at the same time."""
        page = self._queues.work.receive_messages(
            messages_per_page=self._rules.batch, max_messages=self._rules.batch, visibility_timeout=INVISIBLE
        )
        received = [message async for message in page]
        return list(await asyncio.gather(*(self._attempt(message) for message in received)))

    async def drain(self) -> list[Attempt]:
        """Work until no message can be received."""
        attempts: list[Attempt] = []
        while done := await self.once():
            attempts += done
        return attempts

    async def _attempt(self, message: "QueueMessage") -> Attempt:
        text, count = _decoded(message), message.dequeue_count or 0
        if text is None:
            await self._give_up(message)
            return Attempt(message.content, count, None, given_up=True)
        done = await self._app.message(WORKER, text, count)
        if done.error is None:
            await self._queues.put(done.messages)
            await self._queues.work.delete_message(message)
        elif count >= self._rules.attempts:
            await self._give_up(message)
            return Attempt(text, count, done, given_up=True)
        else:
            await self._queues.work.update_message(message, visibility_timeout=self._rules.wait)
        return Attempt(text, count, done)

    async def _give_up(self, message: "QueueMessage") -> None:
        await self._queues.poison.send_message(message.content, time_to_live=FOREVER)
        await self._queues.work.delete_message(message)


@asynccontextmanager
async def queues(connection_string: str) -> AsyncIterator[Queues]:
    """The queues of the app in a storage account, made where they are missing."""
    from azure.storage.queue.aio import QueueClient  # noqa: PLC0415  see above

    async with (
        QueueClient.from_connection_string(connection_string, QUEUE) as work,
        QueueClient.from_connection_string(connection_string, f"{QUEUE}-poison") as poison,
    ):
        for queue in (work, poison):
            await _make(queue)
        yield Queues(work, poison)


async def _make(queue: "QueueClient") -> None:
    try:
        await queue.create_queue()
    except ResourceExistsError:
        return


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def _decoded(message: "QueueMessage") -> str | None:
    """The text of a message; None when it is not encoded as `messageEncoding` says."""
    try:
        return b64decode(message.content, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _seconds(span: str) -> int:
    """Seconds of `hh:mm:ss`."""
    hours, minutes, seconds = (int(part) for part in span.split(":"))
    return hours * 3600 + minutes * 60 + seconds
