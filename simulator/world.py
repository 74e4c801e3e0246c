"""The world that is simulated: the estate, how it behaves at the moment, and what was asked of it."""

from dataclasses import dataclass, field
from datetime import timedelta

from simulator.accounts import Account, Key, new_key
from simulator.clock import Clock, running_time
from simulator.clouds import Cloud
from simulator.faults import Faults
from simulator.journal import Journal
from simulator.quotas import Quotas
from simulator.vaults import Vault


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds that every answer of a plane takes longer, give or take `jitter`, and give or take the share `spread`."""

    control: float = 0.0
    vault: float = 0.0
    data: float = 0.0
    sign_in: float = 0.0
    jitter: float = 0.0
    spread: float = 0.0


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the services behave; in seconds, but for `operations_located` and `quotas`."""

    propagation_delay: float = 0.0
    operation_seconds: float = 0.2
    operations_located: bool = False
    """Whether an operation is told at its location, below the subscription, and not at the account."""
    list_delay: float = 0.0
    clock_offset: float = 0.0
    token_seconds: float = 24 * 60 * 60.0
    quotas: float = 0.0
    """How many times as quickly as Azure's the buckets of the quotas fill; 0 for no quotas."""
    latency: Latency = field(default_factory=Latency)


@dataclass(frozen=True, slots=True)
class Denial:
    """A right that the caller lacks, everywhere or on one account or vault."""

    action: str
    scope: str | None

    def covers(self, action: str, scope: str) -> bool:
        """Whether this denial forbids the action on the account or vault of that name."""
        return self.action.lower() == action.lower() and (self.scope is None or self.scope.lower() == scope.lower())


@dataclass(frozen=True, slots=True)
class Player:
    """A program that plays a host."""

    port: int
    account_key: str | None = field(default=None, repr=False)
    """That of a storage account which takes tokens, too; an emulator takes none over HTTP."""


@dataclass(slots=True, eq=False)
class World:
    """One tenant with one subscription, and everything that tests and the demo can do to it."""

    cloud: Cloud
    tenant: str
    subscription: str
    clock: Clock = field(default_factory=Clock)
    accounts: dict[str, Account] = field(default_factory=dict)
    vaults: dict[str, Vault] = field(default_factory=dict)
    elsewhere: dict[str, Player] = field(default_factory=dict)
    """The programs that play hosts in our place, by host."""
    behaviour: Behaviour = field(default_factory=Behaviour)
    denials: list[Denial] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    journal: Journal = field(default_factory=Journal)
    quotas: Quotas = field(default_factory=Quotas)

    def account(self, name: str) -> Account | None:
        """The account of that name, matched without case, with its finished operations applied."""
        account = self.accounts.get(name.lower())
        if account:
            self.settle(account)
        return account

    def vault(self, name: str) -> Vault | None:
        """The vault of that name, matched without case."""
        return self.vaults.get(name.lower())

    def denied(self, action: str, scope: str) -> bool:
        """Whether the caller lacks this right on this account or vault."""
        return any(denial.covers(action, scope) for denial in self.denials)

    def list_moment(self) -> float:
        """The running time whose state lists and reads show: now, or earlier when lists are late."""
        return running_time() - self.behaviour.list_delay

    def settle(self, account: Account) -> None:
        """Apply the regenerate operations whose time has come."""
        operation = account.running()
        if operation and operation.ends <= running_time():
            operation.ended = self.clock.now()
            for slot, key in operation.keys.items():
                account.slots[slot].become(key, operation.ends)

    def regenerate(self, account: Account, slot: str) -> None:
        """Give the slot a new key now; the data plane may accept it later."""
        account.slots[slot].become(self.new_key(account), running_time())

    def new_key(self, account: Account, after: float = 0.0) -> Key:
        """A key that comes into force `after` so many seconds; the data plane may accept it later."""
        now, delay = self.clock.now(), self.behaviour.propagation_delay
        return new_key(account.kind, now, now + timedelta(seconds=after + delay) if delay else None)
