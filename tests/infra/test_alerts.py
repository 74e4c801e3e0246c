"""Who is woken, by what, and how soon: the queries of alerts over what the app logs, and the rules around them."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from rotation import policy, telemetry
from rotation.errors import BadSettings, Refused, Throttled, Unavailable
from rotation.model import Action, Reason, Verdict
from rotation.report import Outcome, Step
from rotation.status import Standing
from tests.infra.bicep import INFRA, read
from tests.infra.kusto import Row, run
from tests.unit.facts import ACCOUNT, DAY, HOUR, KEY, LEAD, MINUTE, NOW, VALIDITY, facts, publication

DUE = VALIDITY - LEAD
STEP = Step(Action.ROTATE, Reason.DUE, "due", (KEY,), "key2")
FINE = Verdict(Action.LEAVE, Reason.FRESH, "fresh")
REFUSED = Verdict(Action.REFUSE, Reason.READ_ONLY_LOCK, "locked")


RULES = {rule["name"]: rule for rule in read("modules/alerts").variables["rules"]}
SPANS = {"PT15M": 15 * MINUTE, "PT30M": 30 * MINUTE, "PT1H": HOUR, "P1D": DAY, "P2D": 2 * DAY}


def alert(name: str, rows: list[Row], at: datetime = NOW) -> list[Row]:
    """What the alert of this name sees in the log at a time: rows of its window, of a query over its range."""
    rule = RULES[name]
    known = [row for row in rows if at - SPANS[rule["range"]] < row["timestamp"] <= at]
    seen = run((INFRA / f"queries/{name}.kql").read_text(), known, at)
    return [row for row in seen if at - SPANS[rule["window"]] < row["timestamp"]]


def queued(late: timedelta) -> None:
    """Log that a sweep queued the account when a new key had been due for so long."""
    known = facts(publication(age=DUE + late))
    telemetry.queued("sweep", Standing(known, (KEY,), policy.judge(known, NOW)), days_left=20)


def attempted(**told: Any) -> None:
    """Log what came of the account."""
    telemetry.attempt("rotate_account", Outcome(str(ACCOUNT), (KEY,), **told))


def swept(**problems: Unavailable) -> None:
    """Log a sweep."""
    telemetry.listed("sweep", {"accounts": 0, "unseen": sorted(problems)}, problems)


def test_what_a_person_must_mend_wakes_somebody(rows: Callable[..., list[Row]]) -> None:
    """A refusal with its account, a vault that forbids with its name, wrong settings with the function."""
    attempted(verdict=REFUSED)
    telemetry.failed("sweep", Refused("no"), vault="kv-one")
    telemetry.failed("near_expiry", BadSettings("wrong"))
    attempted(error=Throttled("later"))
    telemetry.failed("sweep", Unavailable("away"), vault="kv-two")
    attempted(verdict=FINE, steps=(STEP,))

    seen = alert("rotation-failed", rows())
    assert [
        (str(ACCOUNT), "read-only-lock", "locked"),
        ("kv-one", "refused", "no"),
        ("near_expiry", "bad-settings", "wrong"),
    ] == [(row["subject"], row["why"], row["sentence"]) for row in seen]


def test_what_only_an_audit_sees_stands_until_an_audit_finds_it_well(rows: Callable[..., list[Row]]) -> None:
    """At every look between two audits, the second one hours late; an attempt that fails for a while tells nothing."""
    attempted(verdict=REFUSED)
    log = rows(NOW)
    attempted(error=Throttled("later"))
    log += rows(NOW + 5 * HOUR)
    attempted(verdict=REFUSED)
    log += rows(NOW + DAY + 3 * HOUR)
    attempted(verdict=FINE)
    mended = NOW + 2 * DAY + 4 * HOUR
    log += rows(mended)
    every = SPANS[RULES["rotation-failed"]["every"]]
    looks = [NOW + number * every for number in range(4 * 24 * 5)]

    told = {at for at in looks if alert("rotation-failed", log, at)}
    assert {at for at in looks if at < mended} == told


def test_each_account_has_its_own_last_word(rows: Callable[..., list[Row]]) -> None:
    """That another one is well mends nothing."""
    attempted(verdict=REFUSED)
    log = rows()
    other = str(ACCOUNT).replace(ACCOUNT.name, "another")
    telemetry.attempt("rotate_account", Outcome(other, (KEY,), FINE))

    assert [str(ACCOUNT)] == [row["subject"] for row in alert("rotation-failed", [*log, *rows(NOW + HOUR)], NOW + DAY)]


@pytest.mark.parametrize("pause", [15 * MINUTE, HOUR, 6 * HOUR], ids=str)
def test_what_every_sweep_says_stands_until_one_is_silent_of_it(
    rows: Callable[..., list[Row]], pause: timedelta
) -> None:
    """Of a vault and a secret that names no account nobody ever says that they are well, however rare sweeps are."""
    log = []
    for at in (NOW, NOW + pause):
        telemetry.attempt("sweep", Outcome("", (KEY,), error=Refused("no")))
        telemetry.listed("sweep", {"accounts": 0, "unseen": []}, {"kv-one": Refused("no")})
        log += rows(at)
    swept()
    mended = NOW + 2 * pause
    log += rows(mended)

    for look in range(1, 9):
        assert 2 == len(alert("rotation-failed", log, NOW + look * 2 * pause / 9))
    assert [] == alert("rotation-failed", log, max(mended, NOW + pause + 30 * MINUTE))


def test_what_no_sweep_says_is_seen_though_one_came_after_it(rows: Callable[..., list[Row]]) -> None:
    """For two looks; what keeps the sweeps themselves from beginning stands until one is complete."""
    telemetry.failed("near_expiry", BadSettings("wrong"))
    log = rows()
    assert 1 == len(alert("rotation-failed", log, NOW + DAY))

    swept()
    log += rows(NOW + 10 * MINUTE)
    for at, number in {NOW + 29 * MINUTE: 1, NOW + 30 * MINUTE: 0}.items():
        assert number == len(alert("rotation-failed", log, at))


def test_a_due_account_wakes_somebody_though_no_worker_runs(rows: Callable[..., list[Row]]) -> None:
    """The sweep alone tells, after six hours and not before."""
    queued(6 * HOUR + MINUTE)
    (seen,) = alert("rotation-overdue", rows())
    assert (str(ACCOUNT), "due", 20) == (seen["subject"], seen["why"], seen["days_left"])

    queued(6 * HOUR - MINUTE)
    assert [] == alert("rotation-overdue", rows())


def test_only_a_new_key_ends_it(rows: Callable[..., list[Row]]) -> None:
    """An attempt that is refused or fails does not, and neither does one from before."""
    attempted(verdict=FINE, steps=(STEP,))
    before = rows(NOW - HOUR)
    queued(7 * HOUR)
    due = rows()
    attempted(verdict=REFUSED)
    attempted(error=Throttled("later"))
    tried = rows(NOW + MINUTE)
    attempted(verdict=FINE, steps=(STEP,))

    assert 1 == len(alert("rotation-overdue", [*before, *due, *tried], NOW + MINUTE))
    later = NOW + 2 * MINUTE
    assert [] == alert("rotation-overdue", [*before, *due, *tried, *rows(later)], later)


def test_an_account_that_was_mended_elsewhere_is_seen_at_rest(rows: Callable[..., list[Row]]) -> None:
    """The command line logs nothing here; the next audit says that nothing is due."""
    queued(7 * HOUR)
    due = rows()
    queued(-30 * DAY)

    assert [] == alert("rotation-overdue", [*due, *rows(NOW + DAY)], NOW + DAY)


def test_what_only_audits_queue_is_overdue_from_one_to_the_next(rows: Callable[..., list[Row]]) -> None:
    """A paused account is queued by no sweep, and an audit may be hours late; a key that somebody makes ends it."""
    late = (timedelta(), DAY + 10 * MINUTE, 2 * DAY + 3 * HOUR)
    log = []
    for after in late:
        queued(7 * HOUR + after)
        log += rows(NOW + after)
    attempted(verdict=FINE, steps=(STEP,))
    made = NOW + late[-1] + 30 * HOUR
    log += rows(made)
    every = SPANS[RULES["rotation-overdue"]["every"]]
    looks = [NOW + number * every for number in range(24 * 5)]

    told = {at for at in looks if alert("rotation-overdue", log, at)}
    assert {at for at in looks if at < made} == told


def test_a_sweep_counts_when_it_saw_every_vault(rows: Callable[..., list[Row]]) -> None:
    """A vault that is away for a day is a silence, too: it holds back every account, and nothing else says so."""
    swept()
    assert 1 == len(alert("rotation-stopped", rows()))

    swept(**{"kv-one": Unavailable("away")})
    away = rows()
    assert [2, 2] == [row["severityLevel"] for row in away]
    assert [] == alert("rotation-stopped", away)
    assert [] == alert("rotation-failed", away)


def test_a_message_that_was_given_up_wakes_somebody() -> None:
    """In the words of the host."""
    said = "Message has reached MaxDequeueCount of 5. Moving message to queue 'rotation-work-poison'."
    others = [said.replace("rotation-work", "other"), '{"event": "rotation.sweep"}']
    log = [{"timestamp": NOW, "severityLevel": 2, "message": message} for message in (said, *others)]

    assert [said] == [row["message"] for row in alert("rotation-poisoned", log)]


def test_each_rule_looks_as_often_and_as_far_as_it_must() -> None:
    """Silence is less than one row; everything else is more than none."""
    told = ("severity", "every", "window", "range", "operator", "threshold", "bySubject", "ends")
    assert {
        "rotation-failed": (1, "PT15M", "P2D", "P2D", "GreaterThan", 0, True, True),
        "rotation-overdue": (1, "PT1H", "P2D", "P2D", "GreaterThan", 0, True, True),
        "rotation-stopped": (0, "PT1H", "P1D", "P1D", "LessThan", 1, False, True),
        "rotation-poisoned": (2, "PT15M", "PT30M", "PT30M", "GreaterThan", 0, False, False),
    } == {name: tuple(rule[entry] for entry in told) for name, rule in RULES.items()}


def test_every_rule_reaches_somebody() -> None:
    """The rules are on, look at the app's component, and call the group that was given or made."""
    (made,) = read("modules/alerts").made("Microsoft.Insights/scheduledQueryRules")
    rule = made["properties"]
    (criterion,) = rule["criteria"]["allOf"]
    assert (True, ["componentId"], "LogAlert") == (rule["enabled"], rule["scopes"], made["kind"])
    assert ("rule.every", "rule.window", "rule.range", "rule.severity") == tuple(
        rule[name] for name in ("evaluationFrequency", "windowSize", "overrideQueryTimeRange", "severity")
    )
    # Azure mutes only what does not end by itself.
    assert ("rule.ends", "rule.ends ? null : rule.window") == (rule["autoMitigate"], rule["muteActionsDuration"])
    assert ("rule.query", "Count", "rule.operator", "rule.threshold") == tuple(
        criterion[name] for name in ("query", "timeAggregation", "operator", "threshold")
    )
    assert {"numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 1} == criterion["failingPeriods"]
    assert "rule.bySubject ? [{ name: 'subject', operator: 'Include', values: ['*'] }] : []" == criterion["dimensions"]
    assert {"actionGroups": "empty(groupId) ? [] : [groupId]"} == rule["actions"]
    assert (
        "!empty(actionGroupId) ? actionGroupId : empty(email) ? '' : made.id"
        == (read("modules/alerts").variables["groupId"])
    )


def test_lost_events_are_counted_by_event_grids_own_metrics() -> None:
    """One that is dead-lettered is enough, and one that is dropped."""
    (lost,) = read("modules/watch").made("Microsoft.Insights/metricAlerts")
    properties = lost["properties"]
    (criterion,) = properties["criteria"]["allOf"]
    assert "for metric in ['DeadLetteredCount', 'DroppedEventCount']: {" in read("modules/watch").text
    assert ("PT15M", "PT1H", ["topic.id"], True) == tuple(
        properties[name] for name in ("evaluationFrequency", "windowSize", "scopes", "enabled")
    )
    assert {
        "metricNamespace": "Microsoft.EventGrid/systemTopics",
        "metricName": "metric",
        "timeAggregation": "Total",
        "operator": "GreaterThan",
        "threshold": 0,
    }.items() <= criterion.items()
    # Others may listen to the same topic, and their events are not ours to look after.
    ours = {
        "name": "EventSubscriptionName",
        "operator": "Include",
        "values": ["app", "'secret-expired-${app}'"],
    }
    assert [ours] == criterion["dimensions"]
    assert "empty(actionGroupId) ? [] : [{ actionGroupId: actionGroupId }]" == properties["actions"]


def test_an_expired_secret_is_told_by_event_grid_alone() -> None:
    """The destination is an alert, not the app."""
    (expired,) = read("modules/watch").made("Microsoft.EventGrid/systemTopics/eventSubscriptions")
    destination = expired["properties"]["destination"]
    assert ("MonitorAlert", "CloudEventSchemaV1_0") == (
        destination["endpointType"],
        expired["properties"]["eventDeliverySchema"],
    )
    assert "empty(actionGroupId) ? [] : [actionGroupId]" == destination["properties"]["actionGroups"]
