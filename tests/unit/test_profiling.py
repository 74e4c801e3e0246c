"""Whose code the processor's time goes to."""

import asyncio
import json
import ssl
from collections import Counter

import pytest

import rotation.act
from bench import profiling

PACKAGES = "/home/me/rotation/azure/.venv/lib/python3.13/site-packages"


@pytest.mark.parametrize(
    ("file", "owner"),
    [
        (rotation.act.__file__, "ours"),
        (profiling.__file__, "ours"),
        (f"{PACKAGES}/azure/core/pipeline/_base.py", "the Azure SDKs"),
        (f"{PACKAGES}/aiohttp/client.py", "aiohttp"),
        (f"{PACKAGES}/certifi/core.py", "the rest of Python"),
        (asyncio.__file__, "asyncio, TLS and sockets"),
        (ssl.__file__, "asyncio, TLS and sockets"),
        (json.__file__, "the rest of Python"),
        ("<frozen importlib._bootstrap>", "imports"),
    ],
)
def test_a_file_belongs_to_who_wrote_it(file: str, owner: str) -> None:
    """Also in a folder that is called like somebody else."""
    assert owner == profiling.owner(file)


def busy() -> int:
    """Use the processor."""
    return sum(number * number for number in range(10_000))


def test_what_uses_the_processor_is_seen() -> None:
    """By file and name, as often as it is looked at."""
    with profiling.sampled() as samples:
        while samples.total() < 5:
            busy()

    assert (__file__, "busy.<locals>.<genexpr>") in samples


def test_shares_are_of_the_whole() -> None:
    """Functions of everybody that take most, and ours apart."""
    mine, theirs = (rotation.act.__file__, "Act.go"), (f"{PACKAGES}/azure/core/x.py", "send")
    told = profiling.shares(Counter({mine: 1, theirs: 3}))
    functions = [(function["file"], function["share"]) for function in told["functions"]]

    assert {"the Azure SDKs": 0.75, "ours": 0.25} == told["owners"]
    assert [("azure/core/x.py", 0.75), ("rotation/act.py", 0.25)] == functions
    assert ["Act.go"] == [function["function"] for function in told["ours"]]
