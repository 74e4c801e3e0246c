"""The Azure Functions app: what starts a rotation, and nothing else; `rotation/triggers.py` has what is done then."""

import functools
import os
import typing

import azure.functions as func

from rotation.containment import contained
from rotation.tracing import traced

if typing.TYPE_CHECKING:
    from rotation.replies import Reply
    from rotation.triggers import Triggers

QUEUE = "rotation-work"
STORAGE = "AzureWebJobsStorage"

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


@functools.cache
def triggers() -> "Triggers":
    """What the functions do; the first that runs imports it, as the host waits until this file is read.

    The environment is handed over, not read: an app without settings starts, and each function says what is missing.
    """
    from rotation import telemetry  # noqa: PLC0415  see above
    from rotation.triggers import Triggers  # noqa: PLC0415  see above

    telemetry.configure()
    return Triggers(os.environ)


# The library knows typing.List, and not list, as several messages.


@app.timer_trigger(arg_name="timer", schedule="%ROTATION_SCHEDULE%", run_on_startup=False)
@app.queue_output(arg_name="work", queue_name=QUEUE, connection=STORAGE)
@contained
@traced
async def sweep(timer: func.TimerRequest, work: func.Out[typing.List[str]]) -> None:  # noqa: UP006  see above
    """Put every account that has something to do on the queue."""
    work.set(await triggers().sweep(late=timer.past_due))


@app.timer_trigger(arg_name="timer", schedule="%ROTATION_AUDIT_SCHEDULE%", run_on_startup=False)
@app.queue_output(arg_name="work", queue_name=QUEUE, connection=STORAGE)
@contained
@traced
async def audit(timer: func.TimerRequest, work: func.Out[typing.List[str]]) -> None:  # noqa: UP006  see above
    """Put every account on the queue, for a full look."""
    work.set(await triggers().audit(late=timer.past_due))


@app.event_grid_trigger(arg_name="event")
@app.queue_output(arg_name="work", queue_name=QUEUE, connection=STORAGE)
@contained
@traced
async def near_expiry(event: func.EventGridEvent, work: func.Out[str]) -> None:
    """Put the account of a secret that is about to expire on the queue."""
    if message := await triggers().near_expiry(_content(event)):
        work.set(message)


@app.queue_trigger(arg_name="message", queue_name=QUEUE, connection=STORAGE)
@contained
@traced
async def rotate_account(message: func.QueueMessage) -> None:
    """Work on one account; what waiting may help is raised, so that the queue delivers it again."""
    await triggers().rotate_account(message.get_body(), message.dequeue_count)


@app.route(route="rotate/{vault}/{secret}", methods=["POST"])
@app.queue_output(arg_name="work", queue_name=QUEUE, connection=STORAGE)
@contained
@traced
async def rotate_now(req: func.HttpRequest, work: func.Out[str]) -> func.HttpResponse:
    """Rotate the account of one secret while the caller waits."""
    reply = await triggers().rotate_now(req.route_params, req.params, req.get_body())
    if reply.message:
        work.set(reply.message)
    return _response(reply)


@app.route(route="status", methods=["GET"])
@contained
@traced
async def status(req: func.HttpRequest) -> func.HttpResponse:
    """Say how the accounts stand."""
    return _response(await triggers().status(req.params))


def _content(event: func.EventGridEvent | func.CloudEvent) -> dict[str, object]:
    """The event as it was sent, as far as we read it; the library gives either schema, whatever is annotated."""
    kind = event.type if isinstance(event, func.CloudEvent) else event.event_type
    return {"id": event.id, "type": kind, "data": event.get_json()}


def _response(reply: "Reply") -> func.HttpResponse:
    return func.HttpResponse(
        reply.text, status_code=reply.status, headers=dict(reply.headers), mimetype=reply.content_type
    )
