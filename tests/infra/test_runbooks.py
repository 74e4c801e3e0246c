"""docs/operations.md has a section for whatever may wake somebody, by the name under which it does."""

import json
import os
import re
import subprocess
from pathlib import Path

from rotation.errors import NeedsOperator
from rotation.model import Action, Reason
from tests.infra.bicep import INFRA, ROOT, read
from tests.unit.test_errors import NAMED
from tests.unit.test_policy import CASES

PAGE = (ROOT / "docs/operations.md").read_text()
AZD = """#!/bin/sh
case "$*" in
"env get-values") printf 'DEMO="false"\\nROTATION_ACCOUNT_IDS="/old-1,/old-2"\\n' ;;
*) echo "$*" ;;
esac
"""
"""An azd that has two accounts in its environment, and says what it is told to do."""
CHAPTERS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}


def sections(chapter: str) -> dict[str, str]:
    """The sections of a chapter, by their headings."""
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in CHAPTERS[chapter].split("\n### ")[1:]}


def test_every_alert_has_a_runbook() -> None:
    """Who is woken by a name finds it here, and finds none that wakes nobody."""
    rules = {rule["name"] for rule in read("modules/alerts").variables["rules"]}
    (expired,) = read("modules/watch").made("Microsoft.EventGrid/systemTopics/eventSubscriptions")
    (lost,) = read("modules/watch").made("Microsoft.Insights/metricAlerts")

    ours = {body["name"].strip("'").partition("-$")[0] for body in (expired, lost)}
    assert {*rules, *ours} == sections("When an alert fires").keys()


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


def test_repairs_deploy_what_has_not_changed() -> None:
    """Azd skips a deployment whose template and parameters are the last one's, unless told not to."""
    lines = [line for line in PAGE.splitlines() if "azd provision" in line]
    changed = re.compile(r"--no-state|--preview|azd env set|ROTATION_\w+_IDS")
    assert sum("--no-state" in line for line in lines) >= 4
    assert [] == [line for line in lines if not changed.search(line)]


def test_roles_are_taken_away_before_their_subscriptions() -> None:
    """Azure refuses to take a subscription out of a custom role that is assigned there; a deployment would fail."""
    section = sections("Deploy")["Take a vault or an account out"]
    assert 2 == section.count("az role assignment delete")
    assert section.rindex("az role assignment delete") < section.index("azd provision")


def test_enrolling_more_keeps_what_was_enrolled(tmp_path: Path) -> None:
    """The lines of the page, run by a shell: ids that were there before, those of the manifest, and each once."""
    lines = PAGE[PAGE.index("$ ids()") :].splitlines()[:2]
    commands = "\n".join(line.removeprefix("$ ") for line in lines)
    azd = tmp_path / "azd"
    azd.write_text(AZD)
    azd.chmod(0o755)
    (tmp_path / "secrets.csv").write_text("secret,resource-id\nkv/b,/new\nkv/c,/old-2\nkv/d,/new\n")
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(  # noqa: S603  lines of our own page
        ("/bin/sh", "-ec", commands), cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )

    assert ["env set ROTATION_ACCOUNT_IDS /new,/old-1,/old-2", "provision"] == done.stdout.splitlines()


def test_anchors_lead_somewhere() -> None:
    """The page links to its own parts."""
    headings = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors
