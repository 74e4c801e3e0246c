"""Key vaults, secrets and their versions, as values that are replaced and never changed."""

import uuid
from dataclasses import dataclass, field, replace

from simulator.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a secret; times are Unix seconds."""

    value: str = field(repr=False)
    content_type: str | None
    tags: dict[str, str] | None
    created: int
    updated: int
    enabled: bool = True
    expires: int | None = None
    not_before: int | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def renewed(self, now: int) -> "Version":
        """The same as another version."""
        return replace(self, created=now, updated=now, id=uuid.uuid4().hex)


@dataclass(frozen=True, slots=True)
class State:
    """A secret at one moment: its versions, oldest first, and when it was deleted (Unix seconds)."""

    versions: tuple[Version, ...]
    deleted: int | None = None

    @property
    def current(self) -> Version:
        """The newest version, enabled or not."""
        return self.versions[-1]

    def with_version(self, version: Version) -> "State":
        """The same secret with a new current version."""
        return State((*self.versions, version))

    def with_changed(self, version: Version) -> "State":
        """The same secret with the attributes of one of its versions changed."""
        return replace(self, versions=tuple(version if version.id == known.id else known for known in self.versions))


# A purged secret stays in its vault as a timeline that ends in None, so that page offsets stay true.
Secret = Timeline[State | None]


@dataclass(slots=True, eq=False)
class Vault:
    """One key vault; secrets are found by lower-case name and keep the name they were made with."""

    name: str
    resource_group: str
    location: str
    firewall: bool = False
    secrets: dict[str, Secret] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def live(self, name: str) -> State | None:
        """The secret as it is now, when it exists and is not deleted."""
        secret = self.secrets.get(name.lower())
        state = secret.now if secret else None
        return state if state and state.deleted is None else None

    def put(self, name: str, state: State, since: float) -> None:
        """From `since` on (running time) the secret is in this state."""
        if secret := self.secrets.get(name.lower()):
            secret.become(state, since)
        else:
            self.secrets[name.lower()] = Timeline[State | None](state, since)
            self.names[name.lower()] = name
