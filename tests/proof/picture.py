"""What the world outside sees of an account and its publications, asked of the services themselves."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from azure.keyvault.secrets import SecretProperties
from azure.keyvault.secrets.aio import SecretClient

from rotation.cloud.connection import Connection
from simulator.client import ControlClient
from tests.proof.machine import Machine

STATE = "rotation-state"
TIMES = ("rotated-at", "retire-at", "staged-at")


@dataclass(frozen=True)
class Picture:
    """Pictures are equal when the same slots are published, have changed, and are noted; times and keys differ."""

    published: Mapping[str, str | None]
    """The slot whose key each secret holds."""
    closed: frozenset[str]
    """The secrets that do not open the account."""
    changed: frozenset[str]
    """The slots that have another key than at the beginning."""
    tags: Mapping[str, Mapping[str, str]]
    """Those of each secret, but for the state."""
    state: frozenset[tuple[str, str]]
    """What is noted; a note is about the account, on whichever of its secrets it stands."""
    kept: frozenset[tuple[str | None, str | None]]
    """Content type and foreign tag of every version there is."""
    versions: Counter[str] = field(compare=False)
    regenerated: Counter[str] = field(compare=False)


def keys(simulator: ControlClient) -> dict[str, str]:
    """The fingerprint in each slot of the estate's account."""
    (account,) = simulator.accounts()
    return {slot: told["fingerprint"] for slot, told in account["slots"].items()}


def take(machine: Machine, simulator: ControlClient, before: Mapping[str, str]) -> Picture:
    """Look at everything; `before` are the fingerprints at the beginning."""
    (account,) = simulator.accounts()
    rows = {f"{row['vault']}/{row['secret']}": row for row in simulator.verdict()}
    current, versions = machine.run(_secrets(machine.connection, machine.settings.vaults))
    return Picture(
        published={name: row["slot"] for name, row in rows.items()},
        closed=frozenset(name for name, row in rows.items() if not row["opens"]),
        changed=frozenset(slot for slot, told in account["slots"].items() if told["fingerprint"] != before[slot]),
        tags={name: {tag: text for tag, text in tags.items() if tag != STATE} for name, tags in current.items()},
        state=frozenset(note for tags in current.values() for note in _notes(tags.get(STATE, ""))),
        kept=frozenset((each.content_type, (each.tags or {}).get("owner")) for each in versions),
        versions=Counter(f"{each.vault_url}/{each.name}" for each in versions),
        regenerated=Counter({slot: told["regenerated"] for slot, told in account["slots"].items()}),
    )


async def _secrets(
    connection: Connection, vaults: Mapping[str, str]
) -> tuple[dict[str, dict[str, str]], list[SecretProperties]]:
    """The tags of every secret, and all versions of all of them."""
    current, versions = {}, []
    for vault, url in vaults.items():
        client = SecretClient(url, connection.credential, **connection.options())
        async for secret in client.list_properties_of_secrets():
            current[f"{vault}/{secret.name}"] = secret.tags or {}
            versions += [each async for each in client.list_properties_of_secret_versions(secret.name or "")]
    return current, versions


def _notes(state: str) -> Iterator[tuple[str, str]]:
    for note in filter(None, state.split(";")):
        name, _, value = note.partition("=")
        yield name, "a time" if name in TIMES else value
