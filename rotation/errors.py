"""What can go wrong, as a tree whose branches say who acts next.

RotationError
├── Transient                   waiting helps: the next sweep, or the queue, tries again
│   ├── Throttled               the service asked us to slow down
│   ├── Unavailable             the service failed, or could not be reached
│   ├── Busy                    another pass holds the account
│   ├── LeaseLost               another pass may have taken the account over
│   ├── ChangedMeanwhile        somebody wrote to a secret while we worked
│   └── NotYetTrue              the service does not show or accept yet what it has done
│       └── Staged              a new key waits to be accepted; the next pass publishes it
└── NeedsOperator               no retry helps: a person must change something
    ├── BadSettings             the environment does not say what to do
    ├── BadInput                a command, request or message cannot be understood
    ├── NotFound                the account, vault or secret does not exist
    ├── Forbidden               missing rights, or a firewall
    ├── ReadOnlyLock            a lock forbids to list or regenerate keys
    ├── SharedKeyOff            the account does not accept keys
    ├── CredentialUnavailable   no identity to sign in with, or the sign-in was refused
    ├── Untrusted               the service shows a certificate that nobody vouches for
    ├── SecretDisabled          the secret's current version is disabled
    ├── SecretDeleted           the secret is deleted but recoverable
    ├── Refused                 the account may not be touched as it is
    └── Unexpected              an answer, or a defect, that nobody foresaw
"""

from typing import ClassVar


class RotationError(Exception):
    """A failure with a name from a closed vocabulary (`code`) and a message that says what to do."""

    code: ClassVar[str]
    exit_code: ClassVar[int]
    sent: bool = True
    """Whether a request may have left; where none has, nobody needs to find out what became of it."""


class Transient(RotationError):
    """Waiting helps; nothing was left half done that the next pass does not mend."""

    code = "transient"
    exit_code = 1


class Throttled(Transient):
    """The service asked us to slow down."""

    code = "throttled"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds the service asked us to wait, where it said so."""


class Unavailable(Transient):
    """The service failed, or could not be reached; whether a change was applied is not known."""

    code = "unavailable"


class Busy(Transient):
    """Another pass holds the account."""

    code = "busy"


class LeaseLost(Transient):
    """The lease ran out or was broken, so another pass may be at work; we stop before the next write."""

    code = "lease-lost"
    sent = False


class ChangedMeanwhile(Transient):
    """Somebody wrote to a secret between our reading it and our writing it."""

    code = "changed-meanwhile"


class NotYetTrue(Transient):
    """The service does not show or accept yet what it has done."""

    code = "not-yet-true"


class Staged(NotYetTrue):
    """The idle slot has a new key that the service does not accept yet; nothing was published."""

    code = "staged"


class NeedsOperator(RotationError):
    """No retry helps: a person must change something first."""

    code = "needs-operator"
    exit_code = 3


class BadSettings(NeedsOperator):
    """The environment does not say what to do; the message lists every complaint."""

    code = "bad-settings"
    exit_code = 2


class BadInput(NeedsOperator):
    """A command, request or message cannot be understood."""

    code = "bad-input"
    exit_code = 2


class NotFound(NeedsOperator):
    """The account, vault or secret does not exist, or not where we may see it."""

    code = "not-found"


class Forbidden(NeedsOperator):
    """The identity lacks a right, or a firewall is in the way."""

    code = "forbidden"


class ReadOnlyLock(NeedsOperator):
    """A read-only lock forbids to list or regenerate keys."""

    code = "read-only-lock"


class SharedKeyOff(NeedsOperator):
    """The account does not accept keys, so there is nothing to rotate."""

    code = "shared-key-off"


class CredentialUnavailable(NeedsOperator):
    """There is no identity to sign in with, or the sign-in was refused."""

    code = "credential-unavailable"


class Untrusted(NeedsOperator):
    """The service, or a proxy in between, shows a certificate that nobody whom we trust vouches for."""

    code = "untrusted"


class SecretDisabled(NeedsOperator):
    """The current version of the secret is disabled, so that its value cannot be read."""

    code = "secret-disabled"


class SecretDeleted(NeedsOperator):
    """The secret is deleted but recoverable: its name cannot be written to."""

    code = "secret-deleted"


class Refused(NeedsOperator):
    """What was asked would break a promise or overwrite something that is not ours."""

    code = "refused"


class Unexpected(NeedsOperator):
    """An answer that nobody foresaw, or a defect of ours; the cause is attached."""

    code = "unexpected"
