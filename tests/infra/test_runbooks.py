"""docs/operations.md has a section for whatever may wake somebody, by the name under which it does."""

import json
import re

from rotation.errors import NeedsOperator
from rotation.model import Action, Reason
from tests.infra.bicep import INFRA, ROOT, read
from tests.unit.test_errors import NAMED
from tests.unit.test_policy import CASES

PAGE = (ROOT / "docs/operations.md").read_text()
CHAPTERS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}


def sections(chapter: str) -> dict[str, str]:
    """The sections of a chapter, by their headings."""
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in CHAPTERS[chapter].split("\n### ")[1:]}


def test_every_alert_has_a_runbook() -> None:
    """Who is woken by a name finds it here, and finds none that wakes nobody."""
    rules = {rule["name"] for rule in read("modules/alerts").variables["rules"]}
    (expired,) = read("modules/watch").made("Microsoft.EventGrid/systemTopics/eventSubscriptions")
    (lost,) = read("modules/watch").made("Microsoft.Insights/metricAlerts")

    assert {*rules, expired["name"], lost["name"].strip("'").partition("-$")[0]} == sections(
        "When an alert fires"
    ).keys()


def test_every_alert_is_as_severe_as_the_page_says() -> None:
    """The first line of a section has the number that the pager shows."""
    told = {name: re.search(r"severity (\d)", text) for name, text in sections("When an alert fires").items()}
    rules = {rule["name"]: str(rule["severity"]) for rule in read("modules/alerts").variables["rules"]}
    (expired,) = read("modules/watch").made("Microsoft.EventGrid/systemTopics/eventSubscriptions")
    (lost,) = read("modules/watch").made("Microsoft.Insights/metricAlerts")
    severities = {
        **rules,
        "secret-expired": expired["properties"]["destination"]["properties"]["severity"].removeprefix("Sev"),
        "events-dead-lettered": str(lost["properties"]["severity"]),
    }

    assert severities == {name: found and found[1] for name, found in told.items()}


def test_every_refusal_has_a_runbook() -> None:
    """Every reason that refuses, and every error that waiting does not mend."""
    reasons = {case.reason.value for case in CASES.values() if case.action is Action.REFUSE}
    codes = {kind.code for kind in NAMED if issubclass(kind, NeedsOperator)}

    assert Reason.VAULT_UNSEEN in reasons
    assert reasons | codes == sections("When it refuses").keys()


def test_no_section_is_empty() -> None:
    """Each says what to do, in sentences."""
    for chapter in ("When an alert fires", "When it refuses"):
        assert [] == [name for name, text in sections(chapter).items() if len(text.split()) < 10]


def test_every_parameter_of_a_deployment_is_explained() -> None:
    """By the name that `azd env set` takes."""
    given = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    names = {re.split(r"[=}]", entry["value"].removeprefix("${"))[0] for entry in given.values()}
    settings = (ROOT / "docs/settings.md").read_text()

    asked_by_azd = {"AZURE_ENV_NAME", "AZURE_LOCATION"}
    assert set() == {name for name in names - asked_by_azd if f"`{name}`" not in CHAPTERS["Deploy"] + settings}


def test_what_the_page_reads_from_azd_is_put_out() -> None:
    """Every `azd env get-value` names an output."""
    read_back = set(re.findall(r"azd env get-value (\w+)", PAGE))
    assert read_back
    assert read_back <= read("main").outputs.keys()


def test_anchors_lead_somewhere() -> None:
    """The page links to its own parts."""
    headings = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors
