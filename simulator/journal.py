"""The journal: one entry for every request, without bodies, headers, tokens or signatures."""

from bisect import bisect_right
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from simulator.wire import Call

SECRET_PARAMETERS = frozenset({"sig", "token", "access_token", "client_secret"})
NOT_SIMULATED = 502


@dataclass(slots=True)
class Entry:
    """One request; `status` is None until it was answered, and stays None when it was cut."""

    n: int
    time: float
    method: str
    host: str
    path: str = ""
    query: str = ""
    client_request_id: str | None = None
    sign_in: bool = False
    action: str = ""
    status: int | None = None
    latency: float = 0.0
    """Seconds that it was kept waiting on purpose; `duration` has all that it took, on a busy machine more."""
    duration: float | None = None
    fault: str | None = None


class Journal:
    """Every request since the last reset, numbered from 1."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._count = 0

    def open(self, time: float, call: Call, *, sign_in: bool) -> Entry:
        """Write down a request that has just arrived; `time` is in Unix seconds."""
        request_id = call.headers.get("x-ms-client-request-id")
        query = _public(call.target.partition("?")[2])
        told = (call.method, call.host, call.path, query, request_id, sign_in, call.action)
        return self._add(Entry(self._next(), time, *told))

    def refuse(self, time: float, method: str, host: str) -> None:
        """Write down a request to a host that is not simulated."""
        self._add(Entry(self._next(), time, method, host.lower(), status=NOT_SIMULATED, duration=0.0))

    def since(self, n: int) -> list[dict[str, Any]]:
        """The entries numbered above `n`, oldest first."""
        first = bisect_right(self._entries, n, key=lambda entry: entry.n)
        return [asdict(entry) for entry in self._entries[first:]]

    def clear(self) -> None:
        """Forget the entries; the numbers go on."""
        self._entries.clear()

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _add(self, entry: Entry) -> Entry:
        self._entries.append(entry)
        return entry


def _public(query: str) -> str:
    lowered = query.lower()
    if not any(name in lowered for name in SECRET_PARAMETERS):
        return query
    pairs = parse_qsl(query, keep_blank_values=True)
    return urlencode([(name, value) for name, value in pairs if name.lower() not in SECRET_PARAMETERS])
