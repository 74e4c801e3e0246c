"""Loads an app folder in a fresh process, does what standard input asks for, and prints what came of it as JSON.

    python -m tests.functions.once FOLDER < calls.json

The calls are lists: a method of `App` and its arguments.
"""

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any

from tests.functions.harness import Answer, LoadError, load

OURS = {"function_app", "rotation"}


async def do(folder: Path, calls: list[list[Any]]) -> dict[str, Any]:
    """Load the app and do the calls one after the other."""
    try:
        app = await load(folder)
    except LoadError as error:
        return {"refused": str(error)}
    results = [_shown(await getattr(app, method)(*arguments)) for method, *arguments in calls]
    if calls:
        await app.close()
    return {
        "functions": {name: sorted(function.bindings, key=str) for name, function in app.functions.items()},
        "results": results,
        "files": {name: str(sys.modules[name].__file__) for name in OURS & sys.modules.keys()},
        "path": sys.path,
        "modules": sorted(sys.modules),
    }


def _shown(done: Any) -> dict[str, Any]:
    if isinstance(done, Answer):
        return {"status": done.status, "body": done.json()}
    return {"error": done.error, "messages": done.messages}


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s")
    place = Path(sys.argv[1]).resolve()
    sys.path.insert(0, str(place))
    print(json.dumps(asyncio.run(do(place, json.load(sys.stdin)))))  # noqa: T201  what it is for
