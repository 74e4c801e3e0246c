"""`rotate`: the accounts that were chosen are brought to rest, and the answer says what that means."""

import re
import subprocess
import sys
import time
import uuid
from collections import Counter

import pytest

from rotation.console import Voice
from simulator.client import ControlClient
from tests.seeing import regenerates
from tests.surface.cli.command import Command
from tests.surface.cli.estates import ALSO_DUE, BATCH, DUE, FRESH, PUBSUB, STORAGE, managed

SMTP = "kv-orders/orders-smtp-password"


def test_a_named_secret_takes_its_whole_account_along(command: Command, simulator: ControlClient) -> None:
    """One key is made and published to every secret of the account."""
    ran = command("rotate", DUE)

    assert ran.code == 0
    assert "rotate: due key2" in ran.row(STORAGE)
    assert simulator.account(STORAGE)["slots"]["key2"]["regenerated"] == 1
    assert {(v["slot"], v["opens"]) for v in simulator.verdict() if v["account"] == STORAGE} == {("key2", True)}


def test_the_answer_says_what_becomes_of_the_previous_key(command: Command) -> None:
    """Until when the previous key works, and whether a promise was broken."""
    ran = command("rotate", DUE)

    assert "the previous key works until the next rotation, at least until 20" in ran.out
    assert "no promise was broken" in ran.out


def test_the_lease_that_holds_nobody_else_off_is_mentioned_once(command: Command) -> None:
    """Without a lease container another process is not kept apart, and the answer says so."""
    assert command("rotate", "--due").out.count("the lease is in-process") == 1


def test_the_shape_of_the_json_is_stable(command: Command) -> None:
    """The names that scripts rely on stay what they are."""
    document = command("rotate", DUE, "--json", "--request-id", "change-17").document

    (account,) = document["accounts"]
    (step,) = account["steps"]
    assert set(document) == {"accounts", "counts", "problems", "exit_code"}
    assert set(account) == {"account", "secrets", "status", "verdict", "steps", "request_id", "trigger", "seconds"}
    assert set(step) == {
        "action",
        "reason",
        "because",
        "secrets",
        "slot",
        "fingerprint",
        "replaced",
        "previous_key_until",
    }
    assert (account["request_id"], document["counts"]) == ("change-17", {"changed": 1})


def test_each_request_has_an_id_of_its_own(command: Command) -> None:
    """A request that was given no id gets one that nobody else has."""
    ids = [command("rotate", FRESH, "--json").document["accounts"][0]["request_id"] for _ in range(2)]

    assert len({uuid.UUID(text) for text in ids}) == 2


def test_the_same_request_is_not_done_twice(command: Command, simulator: ControlClient) -> None:
    """Repeating a request by its id leaves the account alone, even with --force."""
    first = command("rotate", DUE, "--force", "--request-id", "ticket-7")
    again = command("rotate", DUE, "--force", "--request-id", "ticket-7")

    assert (first.code, again.code) == (0, 0)
    assert "leave: already-done" in again.row(STORAGE)
    assert sum(slot["regenerated"] for slot in simulator.account(STORAGE)["slots"].values()) == 1


def test_an_emergency_tells_its_id_before_anything_is_changed(command: Command) -> None:
    """Whoever ends the process with a signal learns it in no other way; what is due needs none."""
    urgent, due = command("rotate", FRESH, "--compromised", "active", "--json"), command("rotate", "--due")

    assert urgent.err.startswith(f"request {urgent.document['accounts'][0]['request_id']}: to repeat this")
    assert due.err == ""
    assert "request" not in due.out


def test_due_passes_over_what_is_not_due(command: Command, simulator: ControlClient) -> None:
    """Accounts that their tags show to be fresh are counted and not contacted."""
    simulator.clear_journal()

    ran = command("rotate", "--due")

    assert ran.code == 0
    assert "2 changed, 1 left alone" in ran.out
    assert not any(PUBSUB in entry["path"] for entry in simulator.journal())


def test_nothing_due_is_fine(command: Command) -> None:
    """A second pass finds nothing to do."""
    command("rotate", "--due")

    ran = command("rotate", "--due")

    assert (ran.code, ran.out) == (0, "3 left alone\n")


def test_a_grace_is_told_to_cut_the_overlap_short(command: Command, simulator: ControlClient) -> None:
    """The readers of a leaked key were promised two days, and get minutes."""
    leaked = simulator.account(STORAGE)["slots"]["key1"]["fingerprint"]
    ran = command("rotate", DUE, "--compromised", "active", "--grace", "PT10M")

    assert 0 == ran.code
    assert f"the leaked key {leaked} works until 20" in ran.out
    assert "the leaked key's overlap is cut short to that, no other promise was broken" in ran.out


def test_all_takes_a_full_look_at_every_account(command: Command, simulator: ControlClient) -> None:
    """Drift of an account that is not due is mended too."""
    simulator.regenerate(PUBSUB, "Primary")

    ran = command("rotate", "--all")

    assert "republish: drift" in ran.row(PUBSUB)
    assert "3 changed" in ran.out
    assert all(v["opens"] for v in simulator.verdict())


def test_a_promise_is_kept_unless_somebody_insists(command: Command, simulator: ControlClient) -> None:
    """Within the overlap a rotation waits; --force breaks the promise and says so."""
    command("rotate", DUE)

    kept, broken = command("rotate", DUE), command("rotate", DUE, "--force")

    assert (kept.code, broken.code) == (0, 0)
    assert "leave: overlap the previous key is promised until" in kept.row(STORAGE)
    assert "rotate: forced key1" in broken.row(STORAGE)
    assert "a promise was broken: the key" in broken.out
    assert simulator.account(STORAGE)["slots"]["key1"]["regenerated"] == 1


def test_a_compromised_key_is_replaced_now_and_retired_after_the_grace(command: Command) -> None:
    """The answer says until when the leaked key works and what retires it."""
    ran = command("rotate", FRESH, "--compromised", "active", "--grace", "PT1H")

    assert ran.code == 0
    assert "rotate: compromised Secondary" in ran.row(PUBSUB)
    assert "it is retired by the first sweep after 20" in ran.out
    assert "`python -m rotation rotate --due`" in ran.out


def test_without_a_grace_the_leaked_key_stops_at_once(command: Command, simulator: ControlClient) -> None:
    """Both keys are replaced in one go, and the published one works."""
    ran = command("rotate", FRESH, "--compromised", "both", "--grace", "PT0S", "--json")

    (account,) = ran.document["accounts"]
    assert [step["action"] for step in account["steps"]] == ["rotate", "retire"]
    assert [slot["regenerated"] for slot in simulator.account(PUBSUB)["slots"].values()] == [1, 1]
    assert all(v["opens"] for v in simulator.verdict())


def test_of_two_leaked_keys_both_are_told_to_have_ended(command: Command, simulator: ControlClient) -> None:
    """Each by its fingerprint, in the row of the change that ended it."""
    slots = simulator.account(PUBSUB)["slots"].values()
    before = {told["fingerprint"] for told in slots}
    ran = command("rotate", FRESH, "--compromised", "both", "--grace", "PT0S")

    (idle,) = re.findall(r"the idle key (\S+) has stopped working", ran.words)
    (active,) = re.findall(r"the previous key (\S+) has stopped working", ran.words)
    assert before == {idle, active}
    assert f"the leaked key {active} is retired next" in ran.words


def test_a_rotation_that_ends_the_old_key_too_says_of_promises_only_what_became_of_them(command: Command) -> None:
    """The row of the rotation is silent, as the one of the retirement tells of the overlap that was cut short."""
    ran = command("rotate", FRESH, "--compromised", "active", "--grace", "PT0S")

    assert "promise was broken" not in ran.out
    assert ran.out.count("was cut short, as the emergency asked") == 1


def test_the_end_of_a_grace_breaks_no_promise_anew(command: Command) -> None:
    """That the overlap is cut short was told when the key was replaced, and whoever reads of its end has not asked."""
    begun = command("rotate", FRESH, "--compromised", "active", "--grace", "PT2S")
    time.sleep(3)
    ended = command("rotate", "--due")

    assert "the leaked key's overlap is cut short to that" in begun.row(PUBSUB)
    assert "retire: retire-due" in ended.row(PUBSUB)
    assert "was cut short, as the emergency asked" in ended.row(PUBSUB)
    assert "promise was broken" not in ended.row(PUBSUB)


def test_the_end_of_an_idle_key_that_is_promised_is_news(command: Command) -> None:
    """Nobody who reads the key of an ordinary rotation was told before."""
    command("rotate", DUE)

    ended = command("rotate", DUE, "--compromised", "idle")

    assert "a promise was broken: the key" in ended.row(STORAGE)


def test_the_setting_says_how_long_a_grace_is(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --grace ROTATION_GRACE holds."""
    monkeypatch.setenv("ROTATION_GRACE", "PT0S")

    ran = command("rotate", FRESH, "--compromised", "active", "--json")

    assert [step["action"] for step in ran.document["accounts"][0]["steps"]] == ["rotate", "retire"]


@pytest.mark.parametrize(
    ("grace", "told"),
    [("PT0S", "would stop working at once, even"), ("PT10M", "by the first sweep after a grace of PT10M, even")],
)
def test_a_dry_run_of_an_emergency_says_when_the_leaked_key_ends(command: Command, grace: str, told: str) -> None:
    """That is what an operator weighs; a plan that replaces no leaked key has nothing to say of it."""
    assert told in command("rotate", FRESH, "--compromised", "active", "--grace", grace, "--dry-run").out
    assert "a compromised key" not in command("rotate", FRESH, "--force", "--dry-run").out


@pytest.mark.parametrize("asked", [("--compromised", "idle"), ("--compromised", "both"), ("--force",)])
def test_a_dry_run_says_which_idle_key_ends_and_what_that_breaks(
    command: Command, simulator: ControlClient, asked: tuple[str, ...]
) -> None:
    """That key is named as `plan` names it, and so is the time until when it is promised."""
    kept = command("rotate", DUE, *asked, "--dry-run")
    command("rotate", DUE)
    before = simulator.account(STORAGE)["slots"]["key1"]["regenerated"]

    broken, document = (
        command("rotate", DUE, *asked, "--dry-run"),
        command("rotate", DUE, *asked, "--dry-run", "--json"),
    )
    done = command("rotate", DUE, *asked, "--json").document["accounts"][0]["steps"][0]

    (account,) = document.document["accounts"]
    (idle,) = (key["fingerprint"] for key in account["keys"] if key["role"] == "idle")
    assert "promised to nobody any more" in kept.row("key2 ")
    assert f"it is promised until {account['broken_promise_until']}" in broken.row(f"key1 {idle} {STORAGE} ")
    assert (idle, account["broken_promise_until"]) == (done["replaced"], done["broken_promise_until"])
    assert 0 == before


@pytest.mark.parametrize("asked", [("--compromised", "active"), ("--compromised", "idle"), ("--force",)])
def test_a_dry_run_says_that_a_repair_is_only_the_first_step(
    command: Command, simulator: ControlClient, asked: tuple[str, ...]
) -> None:
    """Which keys end after it cannot be told yet, and must not seem to be none."""
    simulator.regenerate(STORAGE, "key1")

    planned, ordinary = command("rotate", DUE, *asked, "--dry-run"), command("rotate", DUE, "--dry-run")

    assert "republish: drift" in planned.out
    assert "a repair comes first, and what was asked goes on after it" in planned.out
    assert "a repair comes first" not in ordinary.out


def test_what_is_due_is_told_of_without_the_key_that_ends(command: Command) -> None:
    """Its promise is over, and nobody has insisted."""
    assert "promised" not in command("rotate", DUE, "--dry-run").out


@pytest.mark.parametrize("more", ["--dry-run", "--yes"])
def test_a_grace_is_no_longer_than_the_overlap(command: Command, simulator: ControlClient, more: str) -> None:
    """P10D for PT10M would leave a leaked key alive for days."""
    ran = command("rotate", FRESH, "--compromised", "active", "--grace", "P10D", more)

    assert ran.code == 2
    assert "the grace is P10D, longer than ROTATION_OVERLAP, P2D; shorten it, or ask for a forced" in ran.err
    assert [slot["regenerated"] for slot in simulator.account(PUBSUB)["slots"].values()] == [0, 0]
    assert command("rotate", FRESH, "--compromised", "active", "--grace", "P2D").code == 0


def test_a_shorter_grace_under_the_same_id_is_told_what_ends_the_key(command: Command) -> None:
    """Nothing is done twice, so nothing is shortened either."""
    asked = ("rotate", FRESH, "--compromised", "active", "--request-id", "leak-6", "--grace")
    command(*asked, "PT1H")

    ran = command(*asked, "PT0S")

    assert "leave: already-done" in ran.row(PUBSUB)
    assert "still works for its grace now, say `--compromised idle`" in ran.out


def test_an_idle_key_is_retired_at_once(command: Command, simulator: ControlClient) -> None:
    """Nobody is to use the idle key, so it just stops working."""
    ran = command("rotate", FRESH, "--compromised", "idle")

    assert "retire: compromised Secondary" in ran.row(PUBSUB)
    assert simulator.account(PUBSUB)["slots"]["Secondary"]["regenerated"] == 1
    assert simulator.account(PUBSUB)["slots"]["Primary"]["regenerated"] == 0


def test_a_dry_run_changes_nothing(command: Command, simulator: ControlClient) -> None:
    """It says what the very same request would do."""
    simulator.clear_journal()

    ran = command("rotate", FRESH, "--force", "--dry-run")

    assert ran.code == 0
    assert "rotate: forced" in ran.row(PUBSUB)
    assert not any("regenerate" in entry["path"].lower() for entry in simulator.journal())
    assert not any(entry["method"] == "PUT" for entry in simulator.journal())


@pytest.mark.parametrize("urgency", [("--force",), ("--compromised", "active")])
@pytest.mark.parametrize("chosen", [("--all",), (DUE, FRESH)])
def test_many_accounts_are_not_harmed_without_a_confirmation(
    command: Command, simulator: ControlClient, urgency: tuple[str, ...], chosen: tuple[str, ...]
) -> None:
    """Where nobody can answer a question, --yes is needed to break promises of more than one account."""
    ran = command("rotate", *chosen, *urgency)

    assert ran.code == 2
    assert "add --yes" in ran.err
    assert "accounts (wps-contoso-live, stcontosoorders" in ran.err
    assert {slot["regenerated"] for a in simulator.accounts() for slot in a["slots"].values()} == {0}


def test_a_confirmation_in_advance_is_enough(command: Command, simulator: ControlClient) -> None:
    """With --yes every account is rotated, due or not."""
    ran = command("rotate", "--all", "--force", "--yes", "--json")

    assert ran.code == 0
    assert ran.document["counts"] == {"changed": 3}
    assert all(v["opens"] for v in simulator.verdict())


def test_two_secrets_of_one_account_need_no_confirmation(command: Command) -> None:
    """What counts is the accounts, however many of their secrets are named."""
    assert command("rotate", DUE, ALSO_DUE, "--force").code == 0


def test_one_failure_does_not_stop_the_others(command: Command, simulator: ControlClient) -> None:
    """The fleet goes on, and the failures are a table of their own at the end."""
    simulator.change_account(STORAGE, locked=True)

    ran = command("rotate", "--due")

    assert ran.code == 3
    assert "rotate: due Primary" in ran.row(BATCH)
    assert ran.out.index("Changed") < ran.out.index("Not done")
    assert "refuse: read-only-lock" in ran.row(STORAGE)
    assert "1 changed, 1 left alone, 1 refused" in ran.out


def test_a_right_that_is_missing_is_named(command: Command, simulator: ControlClient) -> None:
    """The answer names the action, and nothing was published."""
    simulator.deny("Microsoft.Batch/batchAccounts/regenerateKeys/action", BATCH)

    ran = command("rotate", "kv-billing/rendering-key", "--json")

    (account,) = ran.document["accounts"]
    assert (ran.code, account["status"], account["error"]["code"]) == (3, "failed", "forbidden")
    assert "microsoft.batch/batchaccounts/regeneratekeys/action" in account["error"]["message"].lower()
    assert all(v["opens"] for v in simulator.verdict())


def test_what_was_not_done_in_an_emergency_is_to_be_repeated(command: Command, simulator: ControlClient) -> None:
    """The answer says how, and the repetition does what is missing and nothing twice."""
    fault = simulator.fault(path=f"{BATCH}/regenerateKeys", status=500)
    asked = ("rotate", FRESH, "kv-billing/rendering-key", "--compromised", "active", "--yes", "--request-id", "leak-3")

    before = {slot: told["fingerprint"] for slot, told in simulator.account(BATCH)["slots"].items()}
    first = command(*asked)
    simulator.lift(fault)
    again = command(*asked)

    assert (first.code, again.code) == (1, 0)
    (meant,) = re.findall(rf"look for the leaked key \({BATCH}: (\S+) (\S+)\)", first.words)
    assert meant in before.items()
    assert "repeat the command with --request-id leak-3 and the role that stands beside it" in first.words
    assert "leave: already-done" in again.row(PUBSUB)
    assert "rotate: compromised" in again.row(BATCH)


def test_s2_a_role_means_the_keys_that_had_it_when_it_was_declared(
    command: Command, simulator: ControlClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before an account has its turn another worker may rotate it, and applications hold the key that is idle then."""

    def keys() -> dict[str, str]:
        return {slot: told["fingerprint"] for slot, told in simulator.account(BATCH)["slots"].items()}

    monkeypatch.setenv("ROTATION_CONCURRENCY", "1")
    held = simulator.fault(path=f"{PUBSUB}/regenerateKey$", stall=True, times=1)
    (published,) = {row["slot"] for row in simulator.verdict() if row["account"] == BATCH}
    before = keys()
    (idle,) = before.keys() - {published}
    asked = ("rotate", FRESH, "kv-billing/rendering-key", "--compromised", "idle", "--yes", "--request-id", "leak-1")
    command_at_work = subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-m", "rotation", *asked], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert simulator.hits(held, wait=60) == 1
        assert command("rotate", "kv-billing/rendering-key", "--force").code == 0
    finally:
        simulator.lift(held)
        said, noted = command_at_work.communicate(timeout=60)
    rotated = keys()

    assert (0, before[published]) == (command_at_work.returncode, rotated[published])
    assert before[idle] != rotated[idle]
    assert f"{BATCH} ({idle} {before[idle]})" in noted
    assert "promise was broken" not in said.replace("no promise was broken", "")


def test_s2_a_role_means_the_keys_that_had_it_before_the_question(
    command: Command, simulator: ControlClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it stands another worker may rotate an account."""

    def ask(*_: object) -> bool:
        other = [sys.executable, "-m", "rotation", "rotate", "kv-billing/rendering-key", "--force"]
        return subprocess.run(other, capture_output=True, check=False).returncode == 0  # noqa: S603  our own program

    monkeypatch.setattr(Voice, "can_ask", lambda _: True)
    monkeypatch.setattr(Voice, "ask", ask)
    (published,) = {row["slot"] for row in simulator.verdict() if row["account"] == BATCH}
    before = simulator.account(BATCH)["slots"]

    ran = command("rotate", FRESH, "kv-billing/rendering-key", "--compromised", "idle", "--request-id", "leak-1")
    after = simulator.account(BATCH)["slots"]

    assert (0, before[published]["fingerprint"]) == (ran.code, after[published]["fingerprint"])


def test_s2_without_a_look_at_an_account_nothing_is_done_for_a_role(command: Command, simulator: ControlClient) -> None:
    """It would be another key by the time that there is one; who asked is told to look first."""
    first_look = simulator.fault(path=f"{STORAGE}/listKeys", status=503, times=4)

    ran = command("rotate", DUE, "--compromised", "idle", "--request-id", "leak-2")

    assert ran.code == 1
    assert f"cannot list the keys of {STORAGE}: the service failed" in ran.words
    assert "look for the leaked key among those that `python -m rotation plan` tells" in ran.words
    assert (simulator.hits(first_look), regenerates(simulator)) == (4, 0)


def test_what_a_person_must_put_right_comes_before_a_repetition(command: Command, simulator: ControlClient) -> None:
    """The same command would end in the same way until then."""
    simulator.change_account(PUBSUB, shared_keys=False)

    ran = command("rotate", FRESH, "--compromised", "active", "--request-id", "leak-4")

    assert ran.code == 3
    assert "after putting that right, look for the leaked key" in ran.words


def test_a_secret_that_names_no_account_is_to_be_repeated_too(command: Command, simulator: ControlClient) -> None:
    """Whose key it holds is not known, so that nothing was done for it, and a role may mean another key by then."""
    simulator.add_secret("kv-orders", name="lost", tags={"active-slot": "key1", "resource-id": "stone"})
    asked = ("--compromised", "active", "--request-id", "leak-9")

    alone, among_others = command("rotate", "kv-orders/lost", *asked), command("rotate", "--all", "--yes", *asked)

    for ran in (alone, among_others):
        assert ran.code == 3
        assert "after putting that right, look for the leaked key" in ran.words


def test_an_unlisted_vault_forbids_to_regenerate(command: Command, simulator: ControlClient) -> None:
    """The vault may publish the very key that would be regenerated."""
    simulator.firewall("kv-billing", closed=True)

    ran = command("rotate", DUE)

    assert ran.code == 3
    assert "refuse: vault-unseen" in ran.row(STORAGE)
    assert simulator.account(STORAGE)["slots"]["key2"]["regenerated"] == 0


def test_a_secret_of_a_vault_that_fails_is_not_called_unmanaged(command: Command, simulator: ControlClient) -> None:
    """What could not be listed may be there: the vault's own failure is told, and waiting helps."""
    simulator.fault(host="kv-billing", path="/secrets", status=429, retry_after=100)

    ran = command("rotate", ALSO_DUE, "--json")

    assert (ran.code, ran.document["error"]["code"]) == (1, "throttled")


def test_a_secret_that_is_not_there_is_named(command: Command) -> None:
    """Nothing is done for the others either, and the way to those that are there is told."""
    told, asked = command("rotate", DUE, "kv-orders/nobody"), command("rotate", "kv-orders/nobody", "--json")

    assert (told.code, told.out) == (3, "")
    assert told.err.startswith("error: kv-orders/nobody: no managed secret of that name in the allowed vaults; `python")
    assert asked.document["error"]["code"] == "not-found"


@pytest.mark.parametrize("name", ["rotate", "plan", "status"])
def test_why_a_secret_is_not_managed_is_told_after_one_look_at_it(
    command: Command, simulator: ControlClient, name: str
) -> None:
    """One that is deleted, or has no tags, is no slip of the pen; no other secret is looked at."""
    simulator.change_secret("kv-orders", "live-connection", deleted=True)
    simulator.clear_journal()

    told = command(name, DUE, FRESH, "kv-orders/nobody", SMTP)

    assert (told.code, told.out) == (3, "")
    lines = told.err.splitlines()
    assert f"error: cannot read {FRESH}: it is deleted but recoverable; recover or purge it" == lines[0]
    assert f"{SMTP}: it has no rotation tags; `enroll` puts it under rotation" == lines[1]
    assert lines[2].startswith("kv-orders/nobody: no managed secret of that name")
    read = Counter(entry["path"] for entry in simulator.journal() if entry["path"].startswith("/secrets/"))
    assert {f"/secrets/{ref.partition('/')[2]}/" for ref in (FRESH, SMTP, "kv-orders/nobody")} == set(read)
    assert {1} == set(read.values())


def test_a_secret_that_nobody_may_read_is_not_managed_all_the_same(command: Command, simulator: ControlClient) -> None:
    """What stands in the way of a look is not what was asked about."""
    simulator.deny("Microsoft.KeyVault/vaults/secrets/getSecret/action", "kv-orders")

    assert command("rotate", SMTP).err.startswith(f"error: {SMTP}: no managed secret of that name")


def test_a_disabled_secret_is_left_and_a_person_told_who_insisted(command: Command, simulator: ControlClient) -> None:
    """Left alone is fine for a sweep, and not for somebody whose key is compromised."""
    simulator.add_account(type="storage", name="stasleep", resource_group="rg-sleep")
    simulator.add_secret("kv-orders", **managed("asleep", "stasleep", "key1", enabled=False))

    left, insisted = command("rotate", "kv-orders/asleep"), command("rotate", "kv-orders/asleep", "--force")

    assert (left.code, insisted.code) == (0, 3)
    assert "leave: disabled" in left.row("stasleep")
    assert "Not done" in insisted.out
    assert "leave: disabled" in insisted.row("stasleep")
    assert "Left alone" not in insisted.out


def test_a_key_that_is_not_accepted_yet_is_transient(
    command: Command, simulator: ControlClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new key is staged, nothing is published, and a later pass publishes it."""
    monkeypatch.setenv("ROTATION_PROBE_TIMEOUT", "PT1S")
    simulator.behave(propagation_delay=600)

    first = command("rotate", DUE)
    simulator.behave(propagation_delay=0)

    assert first.code == 1
    assert "failed: staged" in first.words
    assert "not published; the published key is good, and the next pass goes on" in first.words
    assert "publish: staged" in command("status", DUE).out
    simulator.deny("Microsoft.KeyVault/vaults/secrets/setSecret/action", "kv-billing")
    assert "waits for the service" not in command("plan", DUE).words


def test_a_leaked_key_is_not_called_good_while_its_successor_waits(
    command: Command, simulator: ControlClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who reads the answer in an emergency learns that the leak goes on, who ends it, and how to end it sooner."""
    monkeypatch.setenv("ROTATION_PROBE_TIMEOUT", "PT1S")
    simulator.behave(propagation_delay=600)
    asked = ("rotate", FRESH, "--compromised", "active", "--grace", "PT0S", "--request-id", "leak-8")

    first, again = command(*asked), command(*asked)

    assert (1, 1) == (first.code, again.code)
    assert "not published; the leaked key works until it is, by the next sweep, or at once" in first.words
    for waiting in (first, again):
        assert "the next pass" in waiting.words
        assert "the leaked key works until then" in waiting.words
        assert "repeat the command with --request-id leak-8" in waiting.words
        assert "good" not in waiting.words
        assert "untouched" not in waiting.words
    assert [slot["regenerated"] for slot in simulator.account(PUBSUB)["slots"].values()] == [0, 1]
