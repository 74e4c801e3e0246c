"""How what the commands found is told: which rows, which words, which sentences."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from rotation.console import Answer, Listing
from rotation.durations import format_duration
from rotation.errors import RotationError, Transient
from rotation.fleet import Meant
from rotation.manifest import Row
from rotation.model import AccountId, Action, Reason, Request, SecretRef
from rotation.policy import REGENERATING
from rotation.report import Outcome, Report, Step
from rotation.rotate import REPAIRS
from rotation.status import Standing, overview
from rotation.tags import format_time

SET_ASIDE = frozenset({Reason.PAUSED, Reason.DISABLED})
INSISTENT = frozenset({Reason.COMPROMISED, Reason.FORCED})


def planned(report: Report, notes: Iterable[str] = ()) -> Answer:
    """Say what a pass would do with each account."""
    rows = [(_name(o), _refs(o.secrets), _word(o), _why(o)) for o in report.outcomes]
    keys = [(key.fingerprint, key.slot, key.role or "", _name(o)) for o in report.outcomes for key in o.keys]
    parts: list[Listing | str] = [
        Listing(("Account", "Secrets", "Would", "Why"), rows),
        Listing(("Fingerprint", "Slot", "Role", "Account"), keys, "Keys"),
        _casualties(report),
        *_vaults(report.problems),
        _counts(report),
        *notes,
    ]
    return Answer(report.to_json(), parts, report.exit_code)


def _casualties(report: Report) -> Listing:
    """The idle keys that a plan ends because somebody insists; those of other rotations are promised to nobody."""
    rows = [
        (key.slot, key.fingerprint, _name(o), _promised(o.broken_promise))
        for o in report.outcomes
        if o.verdict is not None and o.verdict.action in REGENERATING and o.verdict.reason in INSISTENT
        for key in o.keys
        if key.slot == o.verdict.slot
    ]
    return Listing(("Slot", "Fingerprint", "Account", "Promise"), rows, "Would stop working at once")


def _promised(until: datetime | None) -> str:
    if until is None:
        return "it is promised to nobody any more"
    return f"it is promised until {format_time(until)}, and that promise would be broken"


def farewell(report: Report, request: Request) -> list[str]:
    """Say how long the published keys that a plan replaces as compromised would live on, and what a plan hides."""
    verdicts, grace = [o.verdict for o in report.outcomes if o.verdict is not None], request.grace
    if request.insists and any(v.action in REPAIRS for v in verdicts):
        told_later = (
            "a repair comes first, and what was asked goes on after it: which keys end then is told by a dry run"
        )
        return [f"{told_later} once `python -m rotation audit --repair` has made it"]
    if not any(v.action is Action.ROTATE and v.reason is Reason.COMPROMISED for v in verdicts):
        return []
    end = (
        f"be retired by the first sweep after a grace of {format_duration(grace)}" if grace else "stop working at once"
    )
    return [f"a compromised key that is published would {end}, even where it is promised for longer"]


def rotated(report: Report, *, named: bool, notes: Iterable[str]) -> Answer:
    """Say what was changed, until when previous keys work, what failed, and what was left where it was asked for."""
    left = [
        (_name(o), _refs(o.secrets), _word(o), _why(o))
        for o in report.outcomes
        if named and o.status == "left" and not _went_wrong(o)
    ]
    parts: list[Listing | str] = [
        changes(report.outcomes),
        Listing(("Account", "Secrets", "Result", "Why"), left, "Left alone"),
        *failures(report.outcomes),
        *_vaults(report.problems),
        _counts(report),
        *notes,
    ]
    return Answer(report.to_json(), parts, report.exit_code)


def insisted(request: Request, meant: Mapping[AccountId, Meant]) -> str:
    """Say before anything is changed what a repetition needs: the id of what is insisted on, and the keys it means."""
    note = (
        f"request {request.id}: to repeat this after an interruption, give that id with --request-id; "
        "without it a key that was just made is replaced again"
    )
    named = [f"{account.name} ({keys})" for account in meant if (keys := _meant(meant, str(account)))]
    return f"{note}\nmeant are the keys of {', '.join(named)}" if named else note


def repetition(report: Report, request: Request, meant: Mapping[AccountId, Meant]) -> list[str]:
    """Say how to go on with what somebody insisted on and is not done everywhere."""
    undone = [o for o in report.outcomes if _went_wrong(o)]
    told = []
    verdicts = [o.verdict for o in report.outcomes if o.verdict is not None]
    if request.compromised and any(v.reason is Reason.ALREADY_DONE and v.until for v in verdicts):
        told.append("to end a compromised key that still works for its grace now, say `--compromised idle`")
    first = "" if report.exit_code == Transient.exit_code else "after putting that right, "
    if undone and request.compromised:
        # A role means the keys of that moment: by then another pass may have given it to a good one.
        keys = ", ".join(f"{_name(o)}: {keys}" for o in undone if (keys := _meant(meant, o.account)))
        named = f" ({keys})" if keys else ""
        told.append(
            f"what was asked is not done everywhere: {first}look for the leaked key{named} among those that "
            "`python -m rotation plan` tells by fingerprint, as another pass may replace it meanwhile; only while it "
            f"stands there, repeat the command with --request-id {request.id} and the role that stands beside it"
        )
    elif undone:
        told.append(f"what was asked is not done everywhere: {first}repeat the command with --request-id {request.id}")
    return told


def audited(report: Report, *, repairing: bool, notes: Iterable[str] = ()) -> Answer:
    """Say where vaults and accounts disagree, what was mended, and what needs a person."""
    unrepaired = any(o.verdict is not None and o.verdict.action in REPAIRS for o in report.outcomes)
    exit_code = max(report.exit_code, 1 if unrepaired else 0)
    repaired = [
        (_name(o), _refs(step.secrets), f"{step.action}: {step.reason}", step.because)
        for o in report.outcomes
        for step in o.steps
        if step.secrets
    ]
    findings = [
        (_name(o), _refs(o.secrets), _word(o), _why(o))
        for o in report.outcomes
        if _is_finding(o) and not _went_wrong(o)
    ]
    parts: list[Listing | str] = [
        Listing(("Account", "Secrets", "Repair", "Why"), repaired, "Repaired"),
        Listing(("Account", "Secrets", "Finding", "Why"), findings, "Found"),
        *failures(report.outcomes),
        *_vaults(report.problems),
        _audit_counts(report, len(findings)),
        *notes,
    ]
    if unrepaired and not repairing:
        parts.append("`python -m rotation audit --repair` mends what can be mended without regenerating a key")
    return Answer({**report.to_json(), "exit_code": exit_code}, parts, exit_code)


def _audit_counts(report: Report, found: int) -> str:
    """Count accounts; what belongs to no account that we know of is counted apart."""
    looked_at = [o for o in report.outcomes if o.account]
    failed = sum(map(_went_wrong, looked_at))
    repaired = sum(any(step.secrets for step in o.steps) and not _went_wrong(o) for o in looked_at)
    parts = [f"{accounts(len(looked_at))} looked at; {repaired} repaired, {found} found, {failed} failed"]
    if strays := len(report.outcomes) - len(looked_at):
        parts.append(f"{_number(strays, 'secret')} of no account")
    if report.problems:
        parts.append(f"{_number(len(report.problems), 'vault')} not listed")
    return "; ".join(parts)


def standing(
    stands: Sequence[Standing], strays: Sequence[Outcome], problems: Mapping[str, RotationError], now: datetime
) -> Answer:
    """Say how each account stands, and what keeps rotation from going on."""
    rows = [
        (
            s.facts.account.name,
            _kind(s.facts.account),
            _refs(s.secrets),
            s.active or "",
            _span(now - s.published) if s.published else "",
            _distance(s.expires, now),
            _distance(s.due, now),
            _distance(s.retire_at, now),
            s.staged or "",
            f"{s.verdict.action}: {s.verdict.reason}",
        )
        for s in stands
    ]
    columns = ("Account", "Type", "Secrets", "Active", "Age", "Expires", "Due", "Retire", "Staged", "State")
    stuck = [
        *((s.facts.account.name, _refs(s.secrets), s.verdict.because) for s in stands if s.needs_a_person),
        *(("", _refs(o.secrets), _why(o)) for o in strays),
    ]
    parts: list[Listing | str] = [
        Listing(columns, rows),
        Listing(("Account", "Secrets", "Why"), stuck, "Stuck"),
        *_vaults(problems),
        accounts(len(stands)),
    ]
    # Where only an unseen vault is in the way, the vault's own error tells whether waiting helps.
    blocked = [*strays, *(s for s in stands if s.needs_a_person and s.verdict.reason is not Reason.VAULT_UNSEEN)]
    codes = [3 for _ in blocked] + [error.exit_code for error in problems.values()]
    document = overview(stands, Report(tuple(strays), problems), now)
    return Answer(document, parts, max(codes, default=0))


def enrolled(outcome: Outcome, ref: SecretRef, standing: Standing | None, notes: Iterable[str]) -> Answer:
    """Say what was found and written, how the account stands now, and how applications read the secret."""
    reference = f"@Microsoft.KeyVault(VaultName={ref.vault};SecretName={ref.name})"
    others = ", ".join(str(other) for other in outcome.secrets if other != ref)
    parts: list[Listing | str] = [f"{_why(outcome)}; nothing was written"]
    if outcome.steps:
        parts = [f"{step.because}; slot {step.slot}, fingerprint {step.fingerprint}" for step in outcome.steps]
    parts.append(f"the account is also published by {others}" if others else "no other secret publishes the account")
    if standing is not None:
        parts.append(f"next: {_next(standing)}")
    parts += [f"applications read it as an app setting of this value: {reference}", *notes]
    due = standing and standing.due
    document = {**outcome.to_json(), "due": due and format_time(due), "reference": reference}
    return Answer(document, parts, outcome.exit_code)


def enrolled_all(rows: Sequence[tuple[Row, Outcome]], notes: Iterable[str]) -> Answer:
    """Say what became of each line of a manifest."""
    told = [(f"{row.line}", str(row.ref), row.account.name, *_enrolment(outcome)) for row, outcome in rows]
    report = Report(tuple(outcome for _, outcome in rows))
    document = {
        "rows": [{"line": row.line, "secret": str(row.ref), **outcome.to_json()} for row, outcome in rows],
        "counts": report.to_json()["counts"],
    }
    table = Listing(("Line", "Secret", "Account", "Result", "What was found"), told)
    return Answer(document, [table, f"{_number(len(rows), 'secret')}: {_counts(report)}", *notes], report.exit_code)


def _enrolment(outcome: Outcome) -> tuple[str, str]:
    if not outcome.steps:
        return _word(outcome), _why(outcome)
    (step,) = outcome.steps
    return str(step.reason), f"{step.because}; slot {step.slot}, fingerprint {step.fingerprint}"


def _next(standing: Standing) -> str:
    """What becomes of an account to which a secret has just been added."""
    verdict, due = standing.verdict, standing.due
    if verdict.reason is not Reason.OVERLAP:
        return verdict.because if verdict.action is Action.LEAVE else f"{verdict.action}, as {verdict.because}"
    postponed = f"{verdict.because}; an enrolment is a publication, so no new key is made before"
    if due and verdict.until and due > verdict.until:
        return f"{postponed}; one is due {format_time(due)}"
    return postponed


def changes(outcomes: Iterable[Outcome]) -> Listing:
    """The changes that were made, each with what it means."""
    rows = [
        (_name(o), _refs(step.secrets), f"{step.action}: {step.reason}", step.slot or "", _told(step, o.steps[i:], o))
        for o in outcomes
        for i, step in enumerate(o.steps, start=1)
    ]
    return Listing(("Account", "Secrets", "Change", "Slot", "What it means"), rows, "Changed")


def _told(step: Step, later: Sequence[Step], outcome: Outcome) -> str:
    """Say what a change means for those who hold a key."""
    retired = any(s.action is Action.RETIRE for s in later)
    if step.action in (Action.ROTATE, Action.PUBLISH):
        previous = _previous(step, outcome)
        fate = f"{previous} is retired next" if retired else _farewell(step, previous)
        parts = [
            f"fingerprint {step.fingerprint}",
            fate if step.secrets else _unpublished(step),
        ]
        if step.replaced and step.reason is Reason.COMPROMISED:
            parts.append(f"the idle key {step.replaced} has stopped working")
    elif step.action is Action.RETIRE:
        which = "compromised" if step.reason is Reason.COMPROMISED else "previous"
        parts = [f"the {which} key {step.replaced} has stopped working"]
    else:
        parts = [step.because]
        if step.retire_at:
            parts.append(_retired(step.retire_at))
    # Where the same pass ends the previous key too, only that change tells what became of the promise.
    if step.broken_promise or step.action is Action.RETIRE or (step.action is Action.ROTATE and not retired):
        parts.append(_promise(step))
    return "; ".join((*parts, *step.notes))


def _unpublished(step: Step) -> str:
    """Say what works while a new key waits to be published."""
    if step.reason is Reason.COMPROMISED:
        who = "by the next sweep, or at once by the same command with its --request-id"
        return f"not published; the leaked key works until it is, {who}"
    return "not published; the published key is good, and the next pass goes on"


def _previous(step: Step, outcome: Outcome) -> str:
    """What to call the key that a new one has replaced; one that leaked is told by its fingerprint."""
    ends = step.reason is Reason.COMPROMISED or step.retire_at
    leaked = next((s.fingerprint for s in outcome.meant if ends and s.slot != step.slot), None)
    return f"the leaked key {leaked}" if leaked else "the previous key"


def _farewell(step: Step, previous: str) -> str:
    if step.retire_at:
        return f"{previous} works until {format_time(step.retire_at)}; {_retired(step.retire_at)}"
    if step.previous_until:
        return f"{previous} works until the next rotation, at least until {format_time(step.previous_until)}"
    return f"until when {previous} works is not known"


def _retired(at: datetime) -> str:
    return f"it is retired by the first sweep after {format_time(at)}, or by `python -m rotation rotate --due` then"


def _promise(step: Step) -> str:
    if step.broken_promise is None:
        cut_short = step.reason is Reason.COMPROMISED and step.retire_at
        return (
            "the leaked key's overlap is cut short to that, no other promise was broken"
            if cut_short
            else "no promise was broken"
        )
    until = format_time(step.broken_promise)
    if step.reason is Reason.RETIRE_DUE:
        # Nothing but an emergency ends a key before its time without being asked to, and it has told of that.
        return f"its overlap, promised until {until}, was cut short, as the emergency asked"
    return f"a promise was broken: the key {step.replaced} was to work until {until}"


def failures(outcomes: Iterable[Outcome]) -> list[Listing]:
    """What is not done, and what to do about it."""
    rows = [(_name(o), _refs(o.secrets), _word(o), _why(o)) for o in outcomes if _went_wrong(o)]
    return [Listing(("Account", "Secrets", "Result", "What to do"), rows, "Not done")]


def _vaults(problems: Mapping[str, RotationError]) -> list[Listing]:
    rows = [(vault, f"failed: {error.code}", str(error)) for vault, error in sorted(problems.items())]
    return [Listing(("Vault", "Result", "What to do"), rows, "Vaults that could not be listed")]


def _counts(report: Report) -> str:
    if not report.outcomes:
        return "no account is concerned"
    words = {"left": "left alone"}
    return ", ".join(f"{number} {words.get(status, status)}" for status, number in sorted(report.counts().items()))


def accounts(number: int) -> str:
    """So many accounts, in words."""
    return _number(number, "account")


def _number(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _went_wrong(outcome: Outcome) -> bool:
    return outcome.exit_code != 0


def _is_finding(outcome: Outcome) -> bool:
    verdict = outcome.verdict
    return verdict is not None and (verdict.action in REPAIRS or verdict.reason in SET_ASIDE)


def _word(outcome: Outcome) -> str:
    if outcome.error is not None:
        return f"failed: {outcome.error.code}"
    return f"{outcome.verdict.action}: {outcome.verdict.reason}" if outcome.verdict else "left"


def _why(outcome: Outcome) -> str:
    if outcome.error is not None:
        return str(outcome.error)
    return outcome.verdict.because if outcome.verdict else ""


def _meant(meant: Mapping[AccountId, Meant], account: str) -> str:
    """The keys that an emergency means in an account, by slot and fingerprint; empty where nobody knows."""
    asked = next((asked for each, asked in meant.items() if str(each) == account), None)
    suspects = asked.suspects if isinstance(asked, Request) else None
    return ", ".join(f"{suspect.slot} {suspect.fingerprint}" for suspect in suspects or ())


def _name(outcome: Outcome) -> str:
    """The account's own name; its resource id is in the JSON."""
    return outcome.account.rpartition("/")[2]


def _kind(account: AccountId) -> str:
    return account.resource_type.rpartition("/")[2].removesuffix("Accounts")


def _refs(refs: Iterable[SecretRef]) -> tuple[str, ...]:
    return tuple(map(str, refs))


def _distance(time: datetime | None, now: datetime) -> str:
    if time is None:
        return ""
    return f"in {_span(time - now)}" if time > now else f"{_span(now - time)} ago"


def _span(length: timedelta) -> str:
    """A length of time in its largest unit, rounded down."""
    seconds = int(length.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{max(seconds, 0)} s"
