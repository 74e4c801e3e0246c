"""Whose code the processor's time goes to; what is built in counts for who calls it."""

import pstats
from collections import Counter
from cProfile import Profile
from pathlib import Path
from typing import Any

from bench.measure import ROOT

Function = tuple[str, int, str]

_BUILT_IN = "~"
_OWNERS = {
    "/rotation/": "ours",
    "/bench/": "ours",
    "/azure/": "the Azure SDKs",
    "/isodate/": "the Azure SDKs",
    "/msal": "the Azure SDKs",
    "/aiohttp/": "aiohttp",
    "/yarl/": "aiohttp",
    "/multidict/": "aiohttp",
    "importlib": "imports",
    "/asyncio/": "asyncio, TLS and sockets",
    "/ssl.py": "asyncio, TLS and sockets",
    "/selectors.py": "asyncio, TLS and sockets",
}


def shares(profile: Profile) -> dict[str, Any]:
    """Seconds for each owner, and for those functions of ours that take most."""
    stats: dict[Function, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]  # typeshed leaves it out
    seconds: Counter[Function] = Counter()
    for function, (_, _, own, _, callers) in stats.items():
        if function[0] == _BUILT_IN and callers:
            for caller, (_, _, caused, _) in callers.items():
                seconds[caller] += caused
        else:
            seconds[function] += own
    owners: Counter[str] = Counter()
    for function, spent in seconds.items():
        owners[_owner(function)] += spent
    ours = {_name(f): spent for f, spent in seconds.most_common() if _owner(f) == "ours"}
    return {"owners": dict(owners.most_common()), "functions": dict(list(ours.items())[:10])}


def _owner(function: Function) -> str:
    return next((owner for part, owner in _OWNERS.items() if part in function[0]), "the rest of Python")


def _name(function: Function) -> str:
    file, line, name = function
    return f"{Path(file).relative_to(ROOT)}:{line} {name}"
