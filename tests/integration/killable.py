"""Runs the real command line in a process that can be killed, without paying for its imports each time."""

import multiprocessing
import os
import runpy
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

PRELOADED = (
    "azure.batch.aio",
    "azure.identity.aio",
    "azure.keyvault.secrets.aio",
    "azure.messaging.webpubsubservice.aio",
    "azure.mgmt.batch.aio",
    "azure.mgmt.storage.aio",
    "azure.mgmt.webpubsub.aio",
    "azure.storage.blob.aio",
    "rotation.cli",
    "rotation.wiring",
    "tests.integration.killable",
)


def start(arguments: list[str], output: Path) -> BaseProcess:
    """Start `python -m rotation ARGUMENTS` in a process forked from one that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    process = context.Process(target=_run, args=(arguments, str(output), dict(os.environ)))
    process.start()
    return process


def run(arguments: list[str], output: Path, patience: float = 60.0) -> int:
    """Run the command to its end and return its exit code."""
    process = start(arguments, output)
    process.join(patience)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"{' '.join(arguments)} took longer than {patience:.0f} s: {output.read_text()}")
    return process.exitcode


def _run(arguments: list[str], output: str, environment: dict[str, str]) -> None:
    # The process that this one was forked from has the environment of the first test that needed it.
    os.environ.update(environment)
    written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(written, sys.stdout.fileno())
    os.dup2(written, sys.stderr.fileno())
    sys.argv = ["rotation", *arguments]
    runpy.run_module("rotation", run_name="__main__")
