"""Every guard of the product, how to break it, and where the test is that must notice.

A guard is broken by replacing one text of one file. `make mutants` breaks each in a copy of the project, one at a
time, and runs the tests that stand beside it here until the first of them fails.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

PURE = "--confcutdir=tests/properties"
"""Starts no simulator, which these tests do not talk to."""
RULES = f"{PURE} tests/unit/test_policy.py"
ENGINE = f"{PURE} tests/unit/test_rotate.py"
TAGS = f"{PURE} tests/unit/test_tags.py"
MODEL = f"{PURE} tests/unit/test_model.py"
MESSAGES = f"{PURE} tests/unit/test_messages.py"
ORDERS = f"{PURE} tests/unit/test_orders.py"
STORIES = f"{PURE} tests/properties/test_stories.py"
ROTATION = "tests/integration/test_rotation.py"
LONG = "tests/integration/test_long_stories.py"
VALUES = "tests/integration/test_values.py"
PROBING = "tests/integration/test_probing.py"
TRIGGERS = "tests/integration/test_triggers.py"
INSISTENCE = "tests/integration/test_insistence.py"
ADAPTERS = "tests/integration/adapters"
PROVIDERS = "tests/conformance/providers"
COMMANDS = "tests/surface/cli"


@dataclass(frozen=True, slots=True)
class Guard:
    """One guard, and one way to break it."""

    name: str
    file: str
    stands: str
    """The text of the guard, which stands once in the file."""
    broken: str
    """What is put in its place."""
    tests: str
    """Where the test is that fails without it, behind options of pytest."""

    @property
    def options(self) -> list[str]:
        """What pytest has to be told besides the tests."""
        return [word for word in self.tests.split() if word.startswith("-")]

    @property
    def paths(self) -> list[str]:
        """The files and folders of the tests."""
        return [word for word in self.tests.split() if not word.startswith("-")]


def rules() -> tuple[Guard, ...]:
    """Every rule but the last one, which always answers: a judge without it."""
    policy = (ROOT / "rotation/policy.py").read_text()
    lines = re.findall(r"^    (\w+),  # (.*)$", policy, re.MULTILINE)
    return tuple(
        Guard(f"rule {name}", "rotation/policy.py", f"    {name},  # {why}\n", "", RULES) for name, why in lines[:-1]
    )


GUARDS: tuple[Guard, ...] = (
    *rules(),
    Guard(
        "a vault that could not be listed forbids to regenerate",
        "rotation/policy.py",
        "if facts.unseen and verdict.action in REGENERATING:",
        "if False:",
        RULES,
    ),
    Guard(
        "the overlap counts from the last publication",
        "rotation/policy.py",
        "return published if retired else published + facts.limits.overlap",
        "return published",
        RULES,
    ),
    Guard(
        "a retired slot is promised to nobody",
        "rotation/policy.py",
        "return published if retired else published + facts.limits.overlap",
        "return published + facts.limits.overlap",
        RULES,
    ),
    Guard(
        "a retired key that somebody may have given out again is promised",
        "rotation/policy.py",
        "return done and _about_idle(facts, p) and _ours(p)",
        "return done and _about_idle(facts, p)",
        f"{RULES} {LONG}",
    ),
    Guard(
        "a mark is about the key that it names, and not about what is in its slot now",
        "rotation/model.py",
        "return live is None or noted.retire_key in (None, live)",
        "return True",
        RULES,
    ),
    Guard(
        "a near-expiry event counts from half the life on",
        "rotation/policy.py",
        ">= near.terms.validity / 2",
        ">= near.terms.validity * 0",
        RULES,
    ),
    Guard(
        "a retirement waits for the promise, but in an emergency",
        "rotation/policy.py",
        "max(*marks, promised_until(facts)) if marks",
        "max(marks) if marks",
        RULES,
    ),
    Guard(
        "a clock that is behind does not shorten a grace",
        "rotation/policy.py",
        "behind = max(p.secret.created - p.rotated_at, timedelta(0))",
        "behind = timedelta(0)",
        RULES,
    ),
    Guard(
        "no ordinary note puts off the end of a leaked key",
        "rotation/policy.py",
        "return _emergency_ends(facts) or ordinarily",
        "return ordinarily",
        RULES,
    ),
    Guard(
        "a compromised key that another pass replaced has its grace",
        "rotation/policy.py",
        "retire_at = noted or _grace_ends(facts)",
        "retire_at = noted",
        RULES,
    ),
    Guard(
        "what was published a moment ago is not taken for drift",
        "rotation/policy.py",
        "if young := [p for p in lost if p.accepted is None and now < p.secret.created + SETTLING]:",
        "if young := []:",
        RULES,
    ),
    Guard(
        "what the service accepts is not taken for drift",
        "rotation/policy.py",
        "if any(p.accepted for p in lost):",
        "if False:",
        RULES,
    ),
    Guard(
        "a role becomes slots once",
        "rotation/policy.py",
        "if request.compromised is None or request.suspects is not None or not facts.publications:",
        "if request.compromised is None or not facts.publications:",
        RULES,
    ),
    Guard(
        "no key is suspected while a listing that lags may hide it",
        "rotation/policy.py",
        "if facts.obstacles or behind or _neither_is_idle(facts):",
        "if facts.obstacles or _neither_is_idle(facts):",
        RULES,
    ),
    Guard(
        "a suspect whose key has changed is done with",
        "rotation/policy.py",
        "[s for s in facts.request.suspects or () if facts.keys.get(s.slot) == s.fingerprint]",
        "list(facts.request.suspects or ())",
        RULES,
    ),
    Guard(
        "a staged key is not the idle key that leaked",
        "rotation/policy.py",
        "for slot in facts.keys if slot not in staged}",
        "for slot in facts.keys}",
        RULES,
    ),
    Guard(
        "of two secrets of the same second our own note tells which was written last",
        "rotation/model.py",
        "p.secret.created, p.rotated_at, p.ref)",
        "p.secret.created, p.ref)",
        RULES,
    ),
    Guard(
        "a leaked key that was saved last is not published again",
        "rotation/model.py",
        "(self._ends_a_leak(p), p.secret.created,",
        "(p.secret.created,",
        RULES,
    ),
    Guard(
        "a published key is staged no more",
        "rotation/policy.py",
        "overtaken or noted.staged_slot == publication.holds else",
        "overtaken else",
        f"{RULES} {LONG}",
    ),
    Guard(
        "a key that was published in the place of a leaked one is not taken for it",
        "rotation/model.py",
        " and self.is_there(noted)",
        "",
        RULES,
    ),
    Guard(
        "who notes the end of a leaked key is followed although its own key was ended",
        "rotation/model.py",
        "if p.holds is not None or self._ends_a_leak(p))",
        "if p.holds is not None)",
        RULES,
    ),
    Guard(
        "an idle key that a pass was just making is not the one that was meant",
        "rotation/policy.py",
        "return request.without(*acquitted) if acquitted else request",
        "return request",
        "tests/proof/orders/test_order_stories.py",
    ),
    Guard(
        "an idle key that somebody published by hand is meant",
        "rotation/policy.py",
        "all(at is not None and at > as_of for at in noted)",
        "True",
        ENGINE,
    ),
    Guard(
        "a staged key that somebody published may be meant",
        "rotation/policy.py",
        " for p in facts.publications} - published",
        " for p in facts.publications}",
        ENGINE,
    ),
    Guard(
        "a request whose key only waits was not carried out",
        "rotation/policy.py",
        "if p.terms.state.staged_slot in (None, p.holds)]",
        "]",
        ENGINE,
    ),
    Guard(
        "a regenerate of unknown fate keeps others out",
        "rotation/act.py",
        "                self._lease.abandon()\n            raise\n",
        "                pass\n            raise\n",
        ENGINE,
    ),
    Guard(
        "a regenerate that was refused for a quota keeps nobody out",
        "rotation/act.py",
        "if not isinstance(lost, Throttled | NotYetTrue):",
        "if True:",
        ENGINE,
    ),
    Guard(
        "who is aligned is not told that its key was never given out",
        "rotation/act.py",
        "replace(ahead.terms.state.unstaged().unretired(), rotated_at=now)",
        "replace(ahead.terms.state.unstaged(), rotated_at=now)",
        ENGINE,
    ),
    Guard(
        "a new key takes the place of one whose retirement was noted",
        "rotation/act.py",
        "                before.unretired(),\n",
        "                before,\n",
        ENGINE,
    ),
    Guard(
        "an emergency is recorded when its key is to end for an earlier one",
        "rotation/policy.py",
        "        if noted and acted_on:\n",
        "        if noted:\n",
        f"{ENGINE} tests/proof/orders/test_order_stories.py",
    ),
    Guard(
        "an emergency is recorded when its key has ended",
        "rotation/policy.py",
        "told = facts.keys and not acted_on",
        "told = False",
        ENGINE,
    ),
    Guard(
        "who could not look says nothing of a leaked key",
        "rotation/policy.py",
        "told = facts.keys and not acted_on",
        "told = not acted_on",
        ENGINE,
    ),
    Guard(
        "what was not written is not told as done",
        "rotation/act.py",
        "if self._step is None or not (self._step.replaced or self._overwritten):",
        "if self._step is None:",
        ENGINE,
    ),
    Guard(
        "a key that nobody got has promised nothing",
        "rotation/act.py",
        "return step if self._changed else replace(step, previous_until=None, retire_at=None)",
        "return step",
        ENGINE,
    ),
    Guard(
        "the end of a leaked key is told by the vault's clock",
        "rotation/rotate.py",
        "if verdict.reason is Reason.RETIRING and self._steps:",
        "if False:",
        ENGINE,
    ),
    Guard(
        "who has the end of a leaked key noted keeps it",
        "rotation/act.py",
        "if verdict.until and not policy.emergency_mark(self._facts, member):",
        "if verdict.until:",
        ENGINE,
    ),
    Guard(
        "nobody is enrolled with a key that is only listed",
        "rotation/enroll.py",
        "        self._refuse_what_is_behind(seen.facts)\n",
        "",
        f"{PURE} tests/unit/test_enroll.py",
    ),
    Guard(
        "a step that was taken is told",
        "rotation/rotate.py",
        "if hands.done:",
        "if False:",
        ENGINE,
    ),
    Guard(
        "a publication is compared before it is written",
        "rotation/act.py",
        "if (current.version, terms) != (member.secret.version, member.terms):",
        "if False:",
        ROTATION,
    ),
    Guard(
        "a lost lease forbids to regenerate",
        "rotation/act.py",
        "        self._lease.ensure()\n        try:\n            return await self._provider.regenerate(",
        "        try:\n            return await self._provider.regenerate(",
        "tests/functions/test_lost_leases.py",
    ),
    Guard(
        "a lost lease forbids to publish and to change tags",
        "rotation/cloud/vault.py",
        "                lease.ensure()\n",
        "",
        f"{ADAPTERS} tests/functions/test_lost_leases.py",
    ),
    Guard(
        "a new key is tried before it is published",
        "rotation/act.py",
        "        if limits.probe is ProbeMode.OFF:\n            return True\n        deadline",
        "        if True:\n            return True\n        deadline",
        PROBING,
    ),
    Guard(
        "a key that was refused is published only once it is accepted",
        "rotation/act.py",
        "certainly = certainly or answer is Probe.REFUSED",
        "pass",
        ROTATION,
    ),
    Guard(
        "probe=required publishes nothing untried",
        "rotation/act.py",
        "limits.probe is ProbeMode.TRY and not certainly",
        "not certainly",
        PROBING,
    ),
    Guard(
        "a staged key of a moment ago is tried for certain",
        "rotation/act.py",
        "unsettled = bool(since) and self._tools.clock.now() < max(since) + policy.SETTLING",
        "unsettled = False",
        PROBING,
    ),
    Guard(
        "a key that could not be published is noted as staged",
        "rotation/act.py",
        "            if not self._overwritten:\n",
        "            if False:\n",
        ROTATION,
    ),
    Guard(
        "a retirement that was due anyway is not the emergency's",
        "rotation/act.py",
        "asked = verdict.reason is Reason.COMPROMISED",
        "asked = True",
        STORIES,
    ),
    Guard(
        "aligning begins the wait for a retirement anew",
        "rotation/act.py",
        "retire_at = now + (retire_at - ahead.rotated_at)",
        "pass",
        PROBING,
    ),
    Guard(
        "a drifted slot's live key is tried before it is republished",
        "rotation/act.py",
        "        if not await self._accepted(key):\n            raise NotYetTrue(\n"
        '                f"{self._name}: the service lists',
        '        if False:\n            raise NotYetTrue(\n                f"{self._name}: the service lists',
        PROBING,
    ),
    Guard(
        "a key is tried before a split is aligned on it",
        "rotation/act.py",
        "        if not await self._accepted(key):\n            raise NotYetTrue(\n"
        '                f"{self._name}: the key of',
        '        if False:\n            raise NotYetTrue(\n                f"{self._name}: the key of',
        "tests/proof/orders/test_order_stories.py",
    ),
    Guard(
        "a key is tried before somebody is enrolled with it",
        "rotation/enroll.py",
        "        await self._refuse_what_does_not_work_yet(seen, slot)\n",
        "",
        "tests/proof/orders/test_order_stories.py",
    ),
    Guard(
        "who joins does not overtake a key that waits",
        "rotation/enroll.py",
        "state=replace(_waiting(seen.facts), ",
        "state=replace(State(), ",
        "tests/proof/orders/test_order_stories.py",
    ),
    Guard(
        "who joins during a grace knows when the leaked key ends",
        "rotation/enroll.py",
        "    if ahead is None or retire_at is None:\n",
        "    if True:\n",
        LONG,
    ),
    Guard(
        "who is aligned during a grace knows when the leaked key ends",
        "rotation/act.py",
        "policy.foremost(self._facts)",
        "self._facts.latest",
        LONG,
    ),
    Guard(
        "a secret that was away ends no other key than the one that leaked",
        "rotation/act.py",
        "if waiting.staged_slot or policy.ended(self._facts, member):",
        "if waiting.staged_slot:",
        ENGINE,
    ),
    Guard(
        "nothing that was noted of a key's end holds once it is given out again",
        "rotation/act.py",
        "if state.retire_slot == member.holds:",
        "if False:",
        LONG,
    ),
    Guard(
        "an emergency is not done where the leaked key was put back",
        "rotation/act.py",
        "id=None if undone else state.id",
        "id=state.id",
        LONG,
    ),
    Guard(
        "an emergency is done where another key was put back than the one that leaked",
        "rotation/act.py",
        "id=None if undone else state.id",
        "id=None",
        LONG,
    ),
    Guard(
        "a repair does not overtake a key that waits",
        "rotation/act.py",
        "staged_slot=waiting.staged_slot,",
        "staged_slot=noted.staged_slot,",
        LONG,
    ),
    Guard(
        "a repair knows the request that had the waiting key made",
        "rotation/act.py",
        "id=waiting.id or noted.id,",
        "id=noted.id,",
        LONG,
    ),
    Guard(
        "a mark whose key has ended is cleared",
        "rotation/act.py",
        "            elif policy.ended(self._facts, member):\n",
        "            elif False:\n",
        LONG,
    ),
    Guard(
        "the rest of a value survives a new key",
        "rotation/act.py",
        "if current.value is not None and recognise(current.value).format is member.terms.format:",
        "if False:",
        VALUES,
    ),
    Guard(
        "a read that shows what was overwritten does not count",
        "rotation/observe.py",
        "if before is None or (read.version, read.tags) != (before.version, before.tags):",
        "if True:",
        ROTATION,
    ),
    Guard(
        "a secret that names another account since the listing is not touched",
        "rotation/observe.py",
        "if _account(read) != self._group.account:",
        "if False:",
        VALUES,
    ),
    Guard(
        "a value of another format is not overwritten",
        "rotation/observe.py",
        "if value.format is not terms.format and (holds is not None or value.format is not Format.KEY):",
        "if False:",
        VALUES,
    ),
    Guard(
        "a value of another account is not overwritten",
        "rotation/observe.py",
        "if holds is None and value.owner not in (None, *_names(description)):",
        "if False:",
        ROTATION,
    ),
    Guard(
        "probe=required finds out first whether a key can be tried",
        "rotation/observe.py",
        "if self._tools.limits.probe is not ProbeMode.REQUIRED or self._reached:",
        "if True:",
        PROBING,
    ),
    Guard(
        "what the listing shows to be refused contacts no account",
        "rotation/rotate.py",
        "        if self._verdict.action is Action.REFUSE or self._verdict.reason is Reason.UNKNOWN_TYPE:\n"
        "            return\n",
        "",
        ENGINE,
    ),
    Guard(
        "a request that was acted on is not acted on again",
        "rotation/rotate.py",
        "self._request = self._request.settled()",
        "pass",
        ENGINE,
    ),
    Guard(
        "a regenerated suspect is done with, whatever a listing says",
        "rotation/rotate.py",
        "self._request = self._request.without(verdict.slot)",
        "pass",
        ENGINE,
    ),
    Guard(
        "a pass holds the lease of its account",
        "rotation/rotate.py",
        "        async with self._tools.leases.hold(self._group.account) as lease:\n",
        "        from rotation.cloud.lease import InProcessLease\n        if lease := InProcessLease():\n",
        ENGINE,
    ),
    Guard(
        "a key that was published since the listing is ended only after another one",
        "rotation/rotate.py",
        "if verdict.action in policy.REGENERATING and self._outdated(seen):",
        "if False:",
        ENGINE,
    ),
    Guard(
        "a pass that fails waits until the vault shows what it wrote",
        "rotation/rotate.py",
        "caught_up = await observer.caught_up()",
        "caught_up = True",
        ENGINE,
    ),
    Guard(
        "a lease is not given back while a vault lags",
        "rotation/rotate.py",
        "if self._acted and not caught_up:",
        "if False:",
        ENGINE,
    ),
    Guard(
        "a lease that is abandoned is not given back",
        "rotation/cloud/lease.py",
        "        if self._abandoned:\n            return\n",
        "",
        ADAPTERS,
    ),
    Guard(
        "an account is held on within the process too",
        "rotation/cloud/lease.py",
        "            if lease.left:\n",
        "            if False:\n",
        ADAPTERS,
    ),
    Guard(
        "one vault that cannot be listed does not hide the others",
        "rotation/fleet.py",
        "            except RotationError as error:\n                problems[vault.name] = error",
        "            except ZeroDivisionError as error:\n                problems[vault.name] = error",
        f"{ROTATION} {TRIGGERS} {COMMANDS}",
    ),
    Guard(
        "an account's failure is its own",
        "rotation/rotate.py",
        "        except RotationError as failure:\n            error = failure\n",
        "",
        ENGINE,
    ),
    Guard(
        "a regenerate is sent once by the SDK",
        "rotation/providers/_settle.py",
        '"retry_total": 0',
        '"retry_total": 3',
        PROVIDERS,
    ),
    Guard(
        "a regenerate is sent once by the transport",
        "rotation/cloud/connection.py",
        "        raise aiohttp.ClientConnectionError(str(broken)) from broken",
        "        raise",
        f"{ADAPTERS}/test_connection.py {PROVIDERS}",
    ),
    Guard(
        "a lost answer is settled by listing, not by regenerating",
        "rotation/providers/_settle.py",
        "        keys = await looked_up(account, slot, failure, list_keys)\n",
        "        keys = await regenerate()\n",
        PROVIDERS,
    ),
    Guard(
        "a refused list does not tell that a regenerate was refused",
        "rotation/providers/_settle.py",
        "    except RotationError as unseen:\n",
        "    except RotationError as unseen:\n        raise\n",
        PROVIDERS,
    ),
    Guard(
        "nor while an operation goes on",
        "rotation/providers/webpubsub.py",
        "keys = await looked_up(account, slot, doubt, lambda: self.list_keys(account))",
        "keys = await self.list_keys(account)",
        PROVIDERS,
    ),
    Guard(
        "a regenerate that was refused for a quota was not done",
        "rotation/providers/_settle.py",
        "if isinstance(doubt, Throttled):",
        "if False:",
        PROVIDERS,
    ),
    Guard(
        "a key that was just replaced is not one that nobody was given",
        "rotation/act.py",
        "            elif policy.ended(self._facts, member):\n",
        "            if policy.ended(self._facts, member):\n",
        ENGINE,
    ),
    Guard(
        "an unchanged key was not regenerated",
        "rotation/providers/_settle.py",
        "if keys[slot] != before:",
        "if True:",
        PROVIDERS,
    ),
    Guard(
        "an answer without both keys is not understood",
        "rotation/providers/_settle.py",
        "    if missing:\n",
        "    if False:\n",
        f"{ADAPTERS}/test_services.py",
    ),
    Guard(
        "a write is sent once by the SDK",
        "rotation/cloud/vault.py",
        "enabled=True,\n                    **_ONCE,",
        "enabled=True,",
        f"{ADAPTERS}/test_vault.py",
    ),
    Guard(
        "tags are sent once by the SDK",
        "rotation/cloud/vault.py",
        "tags=dict(tags), **_ONCE",
        "tags=dict(tags)",
        f"{ADAPTERS}/test_vault.py",
    ),
    Guard(
        "a write is repeated only over what it was to replace",
        "rotation/cloud/vault.py",
        "if _state(current) != _state(replaces):",
        "if False:",
        f"{ADAPTERS}/test_vault.py",
    ),
    Guard(
        "a write whose answer was lost is not repeated",
        "rotation/cloud/vault.py",
        "if current and (current.value, current.tags) == written:",
        "if False:",
        f"{ADAPTERS}/test_vault.py",
    ),
    Guard(
        "an account that refuses keys is refused",
        "rotation/providers/storage.py",
        "if found.allow_shared_key_access is False:",
        "if False:",
        PROVIDERS,
    ),
    Guard(
        "the storage of the app itself is refused",
        "rotation/providers/storage.py",
        "if account.name.lower() in self._own_storage:",
        "if False:",
        f"{ADAPTERS}/test_services.py",
    ),
    Guard(
        "a lease counts as lost before its end",
        "rotation/cloud/lease.py",
        "if self._left() < self._seconds / 2:",
        "if False:",
        f"{ADAPTERS}/test_lease.py",
    ),
    Guard(
        "a renewal that was lost is soon tried again",
        "rotation/cloud/lease.py",
        "            wait = min(soon, pause)\n",
        "",
        f"{ADAPTERS}/test_lease.py",
    ),
    Guard(
        "a lease ends by the clock on the wall too",
        "rotation/cloud/lease.py",
        "min(self._ends - loop_time, (self._ends_at - time).total_seconds())",
        "self._ends - loop_time",
        "tests/proof/test_time.py",
    ),
    Guard(
        "a lease that the service says is gone is lost",
        "rotation/cloud/lease.py",
        "if error.status_code in _GONE:",
        "if False:",
        f"{ADAPTERS}/test_lease.py",
    ),
    Guard(
        "an account that is held is busy",
        "rotation/cloud/lease.py",
        "        if account in self._held:\n",
        "        if False:\n",
        f"{ADAPTERS}/test_lease.py",
    ),
    Guard(
        "too many tags are seen before",
        "rotation/tags.py",
        "    if len(written) > MAX_TAGS:\n",
        "    if False:\n",
        TAGS,
    ),
    Guard(
        "tags that are too long are seen before",
        "rotation/tags.py",
        "if len(name) > MAX_TAG_LENGTH or len(value) > MAX_TAG_LENGTH:",
        "if False:",
        TAGS,
    ),
    Guard(
        "foreign tags survive",
        "rotation/tags.py",
        "    written = dict(raw)\n",
        "    written = {}\n",
        TAGS,
    ),
    Guard(
        "tags of both conventions must agree",
        "rotation/tags.py",
        "if any(value != values[0] for value in values):",
        "if False:",
        TAGS,
    ),
    Guard(
        "a wrong tag does not bring a leaked key back",
        "rotation/model.py",
        "return self.other(tagged) if leaked else tagged",
        "return tagged",
        "tests/proof/orders/test_order_stories.py",
    ),
    Guard(
        "the end of a leaked key stays noted where a wrong tag is overruled",
        "rotation/act.py",
        "if self._facts.slot_of(member) == slot else State()",
        "if member.terms.active == slot else State()",
        "tests/proof/orders/test_order_stories.py",
    ),
    Guard(
        "what is done within one second has an order",
        "rotation/tags.py",
        '_format_time(time, "milliseconds")',
        '_format_time(time, "seconds")',
        TAGS,
    ),
    Guard(
        "an event of another vault is ignored",
        "rotation/triggers.py",
        "if ref.vault not in self._settings().vaults:",
        "if False:",
        f"{TRIGGERS} tests/functions/test_triggers.py",
    ),
    Guard(
        "a message for another vault is refused",
        "rotation/triggers.py",
        "if strange := sorted({str(ref) for ref in work.secrets if ref.vault not in vaults}):",
        "if strange := []:",
        "tests/functions/test_triggers.py",
    ),
    Guard(
        "an order for another vault is refused",
        "rotation/triggers.py",
        "if order.ref.vault not in settings.vaults:",
        "if False:",
        "tests/security/test_strange_vaults.py",
    ),
    Guard(
        "only what waiting may mend is raised to the queue",
        "rotation/triggers.py",
        "            if isinstance(error, Transient):\n                # What",
        "            if True:\n                # What",
        f"{TRIGGERS} tests/functions/test_triggers.py",
    ),
    Guard(
        "an echo of a busy account is not parked",
        "rotation/triggers.py",
        "if isinstance(outcome.error, (Busy, Staged)) and not outcome.insisted and delivery >= DELIVERIES:",
        "if False:",
        TRIGGERS,
    ),
    Guard(
        "an app without a place for its leases does not rotate",
        "rotation/triggers.py",
        "if settings.leases is None:",
        "if False:",
        TRIGGERS,
    ),
    Guard(
        "a compromised key is the one that was meant when it was declared",
        "rotation/triggers.py",
        "        if request.compromised:\n            request, account = await",
        "        if False:\n            request, account = await",
        INSISTENCE,
    ),
    Guard(
        "an emergency on a busy account goes on in the queue",
        "rotation/triggers.py",
        "if reply.status == HTTPStatus.LOCKED and request.compromised:",
        "if False:",
        INSISTENCE,
    ),
    Guard(
        "an emergency of which nobody knows which key it means is not accepted",
        "rotation/triggers.py",
        "if isinstance(error, NotYetTrue):",
        "if False:",
        INSISTENCE,
    ),
    Guard(
        "an emergency of which nobody knows in time which key it means is not accepted",
        "rotation/triggers.py",
        "return self._not_queued(report, order.ref, request)",
        "return self._not_queued(report, order.ref, request) if report else self._handed_over(order.ref, request)",
        INSISTENCE,
    ),
    Guard(
        "an emergency in the queue knows its account",
        "rotation/triggers.py",
        "work = Work(account=account, ",
        "work = Work(account=None, ",
        INSISTENCE,
    ),
    Guard(
        "an order that another pass has to finish knows its account",
        "rotation/triggers.py",
        "if account is None and report is not None:",
        "if False:",
        INSISTENCE,
    ),
    Guard(
        "a secret is not gone because one listing does not show it",
        "rotation/triggers.py",
        "if delivery == 1 or not listed",
        "if not listed",
        INSISTENCE,
    ),
    Guard(
        "nothing is regenerated while some secrets of a message are not listed",
        "rotation/triggers.py",
        "if delivery == 1 or not listed.isdisjoint(work.secrets):",
        "if delivery == 1:",
        TRIGGERS,
    ),
    Guard(
        "an account that no listed vault publishes may be published in another one",
        "rotation/triggers.py",
        "    if survey.problems:\n        raise min",
        "    if False:\n        raise min",
        INSISTENCE,
    ),
    Guard(
        "a message about a secret that names no account is told",
        "rotation/triggers.py",
        "if group is None and stray is not None:",
        "if False:",
        INSISTENCE,
    ),
    Guard(
        "an order that finds nothing any more is not ignored",
        "rotation/triggers.py",
        "if isinstance(error, NotFound) and not work.request.insists:",
        "if isinstance(error, NotFound):",
        INSISTENCE,
    ),
    Guard(
        "a message says which keys are compromised",
        "rotation/messages.py",
        '            suspects=_may(asked, "suspects", _suspects),\n',
        "",
        INSISTENCE,
    ),
    Guard(
        "who meant a key that is gone means no other one",
        "rotation/messages.py",
        '            suspects=_may(asked, "suspects", _suspects),\n',
        '            suspects=_may(asked, "suspects", _suspects) or None,\n',
        INSISTENCE,
    ),
    Guard(
        "who does not know what was written keeps others out",
        "rotation/cloud/vault.py",
        "            if in_doubt:\n                lease.abandon()\n",
        "",
        ADAPTERS,
    ),
    Guard(
        "a vault that cannot be listed again forbids to end a key",
        "rotation/fleet.py",
        "        if survey.problems:\n            raise max",
        "        if False:\n            raise max",
        "tests/integration/test_rotation.py",
    ),
    Guard(
        "a staged key is published in the name of the request that had it made",
        "rotation/act.py",
        "id=made_by or self._request.mark or noted.id,",
        "id=self._request.mark or noted.id,",
        INSISTENCE,
    ),
    Guard(
        "what stands in the query is not overlooked",
        "rotation/orders.py",
        "    read.nothing_in(query)\n",
        "",
        ORDERS,
    ),
    Guard(
        "a listing serves nobody who asked after it",
        "rotation/listings.py",
        "begun >= asked and ",
        "",
        TRIGGERS,
    ),
    Guard(
        "no cancellation leaves a function",
        "rotation/containment.py",
        "except asyncio.CancelledError:",
        "except ZeroDivisionError:",
        f"{PURE} tests/unit/test_containment.py",
    ),
    Guard(
        "messages of another version are refused",
        "rotation/messages.py",
        "if type(version) is not int or version != VERSION:",
        "if False:",
        MESSAGES,
    ),
    Guard(
        "a message whose version only equals ours is refused",
        "rotation/messages.py",
        "type(version) is not int or ",
        "",
        MESSAGES,
    ),
    Guard(
        "a message names no more secrets than one that we write",
        "rotation/messages.py",
        "if len(value) > MAX_SECRETS:",
        "if False:",
        MESSAGES,
    ),
    Guard(
        "a long body is not read",
        "rotation/orders.py",
        "if len(body) > MAX_BODY:",
        "if False:",
        ORDERS,
    ),
    Guard(
        "no more complaints are told than somebody reads",
        "rotation/orders.py",
        "astray[:MAX_STRANGE]",
        "astray",
        ORDERS,
    ),
    Guard(
        "a line of the log names a few secrets of a message",
        "rotation/triggers.py",
        "names[:NAMED]",
        "names",
        "-kflood tests/security/test_messages.py",
    ),
    Guard(
        "a key is not shown",
        "rotation/model.py",
        "    def __repr__(self) -> str:",
        "    def unused(self) -> str:",
        MODEL,
    ),
    Guard(
        "what Azure quotes is searched for keys",
        "rotation/cloud/translate.py",
        '_KEY_LIKE.sub("…", text)',
        "text",
        "tests/security/test_leaks.py",
    ),
    Guard(
        "what Azure quotes is searched for keys that are encoded",
        "rotation/cloud/translate.py",
        "|[A-Za-z0-9]{40,}",
        "",
        "tests/security/test_leaks.py",
    ),
    Guard(
        "what Azure quotes moves no cursor",
        "rotation/cloud/translate.py",
        'char if char.isprintable() else " "',
        "char",
        "tests/security/test_tags.py",
    ),
)
