"""An app with the bindings of ours and nothing behind them, for `make bench-start` to compare with."""

import typing

import azure.functions as func

QUEUE = "rotation-work"
STORAGE = "AzureWebJobsStorage"

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)

# The library knows typing.List, and not list, as several messages.


@app.timer_trigger(arg_name="timer", schedule="%ROTATION_SCHEDULE%", run_on_startup=False)
@app.queue_output(arg_name="work", queue_name=QUEUE, connection=STORAGE)
async def sweep(timer: func.TimerRequest, work: func.Out[typing.List[str]]) -> None:  # noqa: UP006  see above
    """Do nothing."""


@app.timer_trigger(arg_name="timer", schedule="%ROTATION_AUDIT_SCHEDULE%", run_on_startup=False)
@app.queue_output(arg_name="work", queue_name=QUEUE, connection=STORAGE)
async def audit(timer: func.TimerRequest, work: func.Out[typing.List[str]]) -> None:  # noqa: UP006  see above
    """Do nothing."""


@app.event_grid_trigger(arg_name="event")
@app.queue_output(arg_name="work", queue_name=QUEUE, connection=STORAGE)
async def near_expiry(event: func.EventGridEvent, work: func.Out[str]) -> None:
    """Do nothing."""


@app.queue_trigger(arg_name="message", queue_name=QUEUE, connection=STORAGE)
async def rotate_account(message: func.QueueMessage) -> None:
    """Do nothing."""


@app.route(route="rotate/{vault}/{secret}", methods=["POST"])
@app.queue_output(arg_name="work", queue_name=QUEUE, connection=STORAGE)
async def rotate_now(req: func.HttpRequest, work: func.Out[str]) -> func.HttpResponse:
    """Do nothing."""
    raise NotImplementedError


@app.route(route="status", methods=["GET"])
async def status(req: func.HttpRequest) -> func.HttpResponse:
    """Do nothing."""
    raise NotImplementedError
