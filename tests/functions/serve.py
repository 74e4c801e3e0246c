"""Serves the app on this machine without Core Tools, over a simulated Azure and the storage emulator.

    python -m tests.functions.serve [PORT]

It is the Functions host as far as a person needs it: HTTP routes, timers, the queue, and the webhook of Event Grid.
Function keys are not asked for.
"""

import argparse
import asyncio
import errno
import json
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from rotation.clock import SystemClock
from simulator.client import ControlClient
from tests import emulator
from tests.functions.events import current_version, event_grid
from tests.functions.harness import OLD, OLD_PYTHON, App, Asked, Function, Invocation, load
from tests.functions.host import Listener, Queues, Rules, queues
from tests.functions.ncrontab import Schedule

ROOT = Path(__file__).parents[2]
PORT = 7071
INTERRUPTED = 130
LOOK_SECONDS = 1.0
"""How often an empty queue is looked at."""
WEBHOOK = "/runtime/webhooks/EventGrid"
FOREIGN = ("AZURE_", "IDENTITY_", "MSI_", "AzureWebJobsStorage", "ROTATION_LEASES", "ROTATION_ACCOUNTS")
"""How variables begin that would lead the app to a real Azure."""
VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

logger = logging.getLogger("serve")


class Host:
    """Turns what comes from outside into invocations, and puts their messages into the queue."""

    def __init__(self, app: App, work: Queues) -> None:
        self._app = app
        self._work = work

    def routes(self) -> list[web.RouteDef]:
        """Return the addresses that the host answers at."""
        return [
            *(
                web.route(method, f"/api/{function.trigger['route']}", self._http(function))
                for function in self.triggered_by("httpTrigger")
                for method in function.trigger["methods"]
            ),
            web.post("/admin/functions/{name}", self._fire_now),
            web.post(WEBHOOK, self._events),
            web.options(WEBHOOK, self._may_send),
        ]

    def triggered_by(self, kind: str) -> list[Function]:
        """The functions with a trigger of this type."""
        return [function for function in self._app.functions.values() if function.trigger["type"] == kind]

    async def keep_firing(self, name: str, schedule: Schedule) -> None:
        """Let a timer fire at its times."""
        clock = SystemClock()
        while True:
            now = clock.now()
            await clock.sleep((schedule.after(now) - now).total_seconds())
            await self._settle(name, await self._app.timer(name))

    def _http(self, function: Function) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            body = await request.read()
            asked = Asked(request.method, request.match_info, request.query_string, body, request.headers)
            done = await self._app.http(function.name, asked)
            if not await self._settle(function.name, done) or done.answer is None:
                return web.Response(status=500)
            return web.Response(status=done.answer.status, headers=done.answer.headers, body=done.answer.body)

        return answer

    async def _fire_now(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in [function.name for function in self.triggered_by("timerTrigger")]:
            return web.Response(status=404)
        done = await self._settle(name, await self._app.timer(name))
        return web.Response(status=202 if done else 500)

    async def _events(self, request: web.Request) -> web.Response:
        """Take events in either schema, one or a batch, and answer the handshake of Event Grid's own schema."""
        try:
            told = await request.json()
        except ValueError:
            return web.Response(status=400)
        events: list[Any] = told if isinstance(told, list) else [told]
        if not all(isinstance(event, dict) for event in events):
            return web.Response(status=400)
        name = request.query.get("functionName", "")
        if name not in [function.name for function in self.triggered_by("eventGridTrigger")]:
            return web.Response(status=404)
        for event in events:
            match event:
                case {"eventType": str(kind), "data": {"validationCode": code}} if kind == VALIDATION:
                    return web.json_response({"validationResponse": code})
        ended = await asyncio.gather(*(self._app.event(name, event) for event in events))
        done = [await self._settle(name, invocation) for invocation in ended]
        return web.Response(status=202 if all(done) else 500)

    async def _may_send(self, request: web.Request) -> web.Response:
        """Answer the handshake of CloudEvents."""
        origin = request.headers.get("WebHook-Request-Origin", "*")
        return web.Response(headers={"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"})

    async def _settle(self, name: str, done: Invocation) -> bool:
        if done.error is not None:
            logger.error("%s failed: %s", name, done.error)
            return False
        await self._work.put(done.messages)
        return True


async def serve(storage: str, azure: ControlClient, port: int) -> None:
    """Serve until interrupted."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    app = await load(ROOT)
    async with queues(storage) as work, asyncio.TaskGroup() as tasks:
        host = Host(app, work)
        answering = web.Application(middlewares=[_as_the_host_routes])
        answering.add_routes(host.routes())
        runner = web.AppRunner(answering, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        running = [tasks.create_task(_listen(Listener(app, work, Rules.of(ROOT))))]
        running += [
            tasks.create_task(host.keep_firing(timer.name, _schedule(timer)))
            for timer in host.triggered_by("timerTrigger")
        ]
        _explain(port, azure)
        await stop.wait()
        print("serve: waiting for what is under way", flush=True)  # noqa: T201  for a person
        for task in running:
            task.cancel()
        await runner.cleanup()
        await app.close()


@web.middleware
async def _as_the_host_routes(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The host knows nothing at a route whose method does not fit, as at any other address."""
    try:
        return await handler(request)
    except (web.HTTPMethodNotAllowed, web.HTTPNotFound):
        return web.Response(status=404)


async def _listen(listener: Listener) -> None:
    while True:
        for attempt in await listener.once():
            if attempt.given_up:
                logger.error("given up after %s attempts: %s", attempt.count, attempt.text)
        await asyncio.sleep(LOOK_SECONDS)


def _schedule(timer: Function) -> Schedule:
    name = timer.trigger["schedule"].strip("%")
    try:
        return Schedule.parse(os.environ[name])
    except ValueError as wrong:
        raise ValueError(f"{name}: {wrong}") from wrong


def _explain(port: int, azure: ControlClient) -> None:
    here = f"http://127.0.0.1:{port}"
    event = json.dumps(_event(azure))
    print(  # noqa: T201  what a person asked for
        f"""serve: {here}, over a simulated Azure; no function keys asked for; `kill {os.getpid()}` or Ctrl+C ends it

  how things stand        curl {here}/api/status
  rotate one account      curl -X POST {here}/api/rotate/kv-orders/live-connection -d '{{"force": true}}'
  let a timer fire now    curl -X POST {here}/admin/functions/sweep -H 'Content-Type: application/json' -d '{{}}'
  an event of Key Vault   curl '{here}{WEBHOOK}?functionName=near_expiry' -H 'Content-Type: application/json' \\
                               -H 'aeg-event-type: Notification' -d '{event}'
  the simulated accounts  curl {azure.url}/accounts
""",
        flush=True,
    )


def _event(azure: ControlClient) -> dict[str, Any]:
    """A near-expiry event for the current version of a secret."""
    row = next(row for row in azure.verdict() if row["account"].startswith("batch"))
    return event_grid(row["vault"], row["secret"], current_version(row["vault"], row["secret"]))


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) in range(1, 65536)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; it is a number up to 65535")
    return int(text)


def main() -> None:
    """Serve; starts a simulator first when there is none."""
    story = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m tests.functions.serve", description=story)
    parser.add_argument("port", nargs="?", type=_port, default=PORT, help=f"where to listen; {PORT} by default")
    port: int = parser.parse_args().port
    if OLD_PYTHON:
        sys.exit(f"serve: {OLD}")
    if not emulator.installed():
        sys.exit("serve: Azurite is not installed; `make setup` installs it where there is Node.js")
    if "SIMULATOR_URL" not in os.environ:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        simulated = [sys.executable, "-m", "simulator", "run", "--", sys.executable, "-m", __spec__.name, *sys.argv[1:]]
        os.execve(sys.executable, simulated, environment)  # noqa: S606  this very program, in a simulated Azure
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("azure").setLevel(logging.WARNING)
    sample = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    with emulator.azurite() as storage:
        os.environ.update({**sample, **os.environ, "AzureWebJobsStorage": storage})
        azure = ControlClient(os.environ["SIMULATOR_URL"])
        try:
            asyncio.run(serve(storage, azure, port))
        except* (OSError, ValueError) as failed:
            # A port that is taken, or a schedule that is none.
            why = failed.exceptions[0]
            if isinstance(why, OSError) and why.errno == errno.EADDRINUSE:
                sys.exit(f"serve: port {port} is taken; give another one, as in `make serve PORT={port + 1}`")
            sys.exit(f"serve: {why}")
        except* KeyboardInterrupt:
            sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
