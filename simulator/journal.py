"""The journal: one entry for every request, without bodies, headers, tokens or signatures."""

from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

SECRET_PARAMETERS = frozenset({"sig", "token", "access_token", "client_secret"})


@dataclass(slots=True)
class Entry:
    """One request; `status` is None until it was answered, and stays None when it was cut."""

    n: int
    time: float
    method: str
    host: str
    path: str
    query: str
    client_request_id: str | None
    sign_in: bool
    status: int | None = None
    duration: float | None = None
    fault: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The entry as the control API shows it."""
        return asdict(self)


class Journal:
    """Every request since the last reset, numbered from 1."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._count = 0

    def open(
        self,
        time: float,
        method: str,
        host: str,
        path: str,
        query: str,
        client_request_id: str | None,
        *,
        sign_in: bool,
    ) -> Entry:
        """Write down a request that has just arrived; `time` is in Unix seconds."""
        self._count += 1
        entry = Entry(self._count, time, method, host, path, _public(query), client_request_id, sign_in)
        self._entries.append(entry)
        return entry

    def since(self, n: int) -> list[dict[str, Any]]:
        """The entries numbered above `n`, oldest first."""
        return [entry.as_json() for entry in self._entries if entry.n > n]

    def clear(self) -> None:
        """Forget the entries; the numbers go on."""
        self._entries.clear()


def _public(query: str) -> str:
    lowered = query.lower()
    if not any(name in lowered for name in SECRET_PARAMETERS):
        return query
    pairs = parse_qsl(query, keep_blank_values=True)
    return urlencode([(name, value) for name, value in pairs if name.lower() not in SECRET_PARAMETERS])
