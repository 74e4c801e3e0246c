"""docs/operations.md has a section for whatever may wake somebody, by the name under which it does."""

import json
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from rotation import tags
from rotation.errors import NeedsOperator
from rotation.model import Reason, Verdict
from rotation.report import Outcome
from tests.infra.bicep import INFRA, ROOT, read
from tests.infra.pages import PAGES, blocks, inline
from tests.unit.test_errors import NAMED
from tests.unit.test_policy import CASES, Case

PAGE = (ROOT / "docs/operations.md").read_text()
AZD = """#!/bin/sh
case "$*" in
"env get-values") printf 'DEMO="false"\\nROTATION_ACCOUNT_IDS="/old-1,/old-2"\\n' ;;
*) echo "$*" ;;
esac
"""
"""An azd that has two accounts in its environment, and says what it is told to do."""
AZ_OF_TAGS = """#!/bin/sh
case "$*" in
*"secret show"*) cat given.json ;;
*) printf '%s\\n' "$@" > written ;;
esac
"""
"""An az that knows the tags of a secret, and notes with which arguments it is told to write."""
AZD_OF_SETTINGS = """#!/bin/sh
case "$*" in
"env get-values") echo 'ROTATION_ACCOUNT_IDS="/old"' ;;
"env set ROTATION_ACCOUNT_IDS "*) echo "$4" > given ;;
provision) printf 'ROTATION_ACCOUNTS\\t%s\\n' "$(cat given)" > deployed ;;
esac
"""
"""An azd that deploys what it was given, for an az that knows the settings of the app that was deployed."""
AZ_OF_SETTINGS = """#!/bin/sh
printf '%s\\t%s\\n' ROTATION_SCHEDULE '0 */15 * * * *' ROTATION_OVERLAP P15D ROTATION_GRACE '' ROTATION_VAULTS kv-a,kv-b
"""
"""An az that knows the settings of an app, one of which is empty."""
STORAGE_ID = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-orders"
    "/providers/Microsoft.Storage/storageAccounts/storders"
)
GONE = ("az keyvault storage", "az aks addon")
"""Groups of commands that the Azure CLI has no more, or only as an extension."""
FROM_A_MACHINE = {"auth login", "env new", "env get-values", "pipeline config", "down"}
"""What of azd has no counterpart for who deploys from GitHub, as nothing is to be done there or the page says what."""
CHAPTERS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}


def sections(chapter: str) -> dict[str, str]:
    """The sections of a chapter, by their headings."""
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in CHAPTERS[chapter].split("\n### ")[1:]}


def needs_a_person(case: Case) -> bool:
    """Whether a pass that comes to rest with this verdict is told as one that a person must see to."""
    verdict = Verdict(case.action, case.reason, "so it is")
    return any(Outcome("an account", (), verdict, insisted=insisted).exit_code > 1 for insisted in (False, True))


def azd(text: str) -> set[str]:
    """What azd is told to do in a text."""
    commands = "\n".join([*blocks(text), *inline(text)])
    return set(re.findall(r"\bazd (env [\w-]+|hooks run \w+|auth \w+|pipeline \w+|\w+)", commands))


def run(commands: list[str], folder: Path, **tools: str) -> str:
    """Have a shell run commands of the page, with our own tools in place of Azure's; tell what they print."""
    for name, script in tools.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    environment = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "GROUP": "rg", "APP": "app"}
    return subprocess.run(  # noqa: S603  lines of our own page
        ("/bin/bash", "-euc", "\n".join(commands)),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


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
    """Every verdict that needs a person, also if only because one insisted, and every error that waiting does not mend.

    These words are what an alert shows, and what HTTP answers beside 409.
    A vault that is out of reach speaks for itself, so that the verdict on its accounts leaves the loudness to it.
    """
    verdicts = {case.reason.value for case in CASES.values() if needs_a_person(case)} | {Reason.VAULT_UNSEEN.value}
    codes = {kind.code for kind in NAMED if issubclass(kind, NeedsOperator)}

    assert {Reason.NOT_ALLOWED.value, Reason.PAUSED.value} < verdicts
    assert verdicts | codes == sections("When it refuses").keys()


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


def test_who_deploys_from_github_is_told_what_to_do_instead() -> None:
    """There is no azd environment then, neither to set anything in nor to read outputs from."""
    section = sections("Deploy")["Deploy from GitHub"]

    assert azd(PAGE.replace(section, "")) - FROM_A_MACHINE == azd(section) - FROM_A_MACHINE
    assert section.index("/environments/production\n") < section.index("gh variable set")


def test_repairs_deploy_what_has_not_changed() -> None:
    """Azd skips a deployment whose template and parameters are the last one's, unless told not to."""
    section = sections("Deploy")["Deploy from GitHub"]
    lines = [line for line in PAGE.replace(section, "").splitlines() if "azd provision" in line]
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
    (tmp_path / "secrets.csv").write_text("secret,resource-id\nkv/b,/new\nkv/c,/old-2\nkv/d,/new\n")
    commands = [command for command in blocks(CHAPTERS["Enrol hundreds"]) if "ids()" in command or "$(ids" in command]
    told = run(["take_over() { :; }", *commands], tmp_path, azd=AZD)

    assert ["env set ROTATION_ACCOUNT_IDS /new,/old-1,/old-2", "provision"] == told.splitlines()


def test_a_corrected_tag_leaves_the_others_whole(tmp_path: Path) -> None:
    """The lines that end a pause, run by a shell: semicolons and blanks survive, and only the pause is gone."""
    state = "rotated-at=2026-11-21T03:00:00Z;trigger=emergency;retire-at=2026-11-21T03:10:00Z"
    given = {"rotation-policy": "format=json;paused=true", "rotation-state": state, "note": "was paused=true; ask me"}
    (tmp_path / "given.json").write_text(json.dumps(given, indent=2))
    run(blocks(sections("When it refuses")["paused"]), tmp_path, az=AZ_OF_TAGS)

    written = (tmp_path / "written").read_text().partition("--tags\n")[2]
    assert [
        "rotation-policy=format=json;",
        f"rotation-state={state}",
        "note=was paused=true; ask me",
    ] == written.splitlines()


@pytest.mark.parametrize("policy", ["{}", "{};format=json", "format=json; {} ;retire-after=P7D", " {}; "])
@pytest.mark.parametrize("spelling", ["paused=true", "paused = true", "paused= true", "paused =true"])
def test_a_pause_ends_however_it_is_written(tmp_path: Path, policy: str, spelling: str) -> None:
    """The app reads all of these; the rest of the policy is what it was."""
    known = {"resource-id": STORAGE_ID, "active-slot": "key1", "validity-days": "90"}
    given = known | {"rotation-policy": policy.format(spelling)}
    (tmp_path / "given.json").write_text(json.dumps(given, indent=2))
    run(blocks(sections("When it refuses")["paused"]), tmp_path, az=AZ_OF_TAGS)

    written = (tmp_path / "written").read_text().partition("--tags\n")[2].splitlines()
    assert tags.read(given).paused
    assert replace(tags.read(given), paused=False) == tags.read(dict(line.split("=", 1) for line in written))


def test_tags_are_quoted() -> None:
    """A shell ends a command at the first semicolon that no quotes are around, and many a tag has one."""
    examples = [given for page in PAGES for given in re.findall(r"--tags +([^\n`]+)", page.read_text())]
    assert examples
    assert [] == [given for given in examples if not re.fullmatch(r'("[^"]+=[^"]*"\s*)+', given)]


def test_an_operator_has_the_settings_of_the_app(tmp_path: Path) -> None:
    """The line that takes them over, run by a shell; an empty one counts as unset."""
    told = run([take_over(), "take_over", "env"], tmp_path, az=AZ_OF_SETTINGS)

    ours = dict(line.split("=", 1) for line in told.splitlines() if line.startswith("ROTATION_"))
    schedule = {"ROTATION_SCHEDULE": "0 */15 * * * *"}
    assert schedule | {"ROTATION_OVERLAP": "P15D", "ROTATION_GRACE": "", "ROTATION_VAULTS": "kv-a,kv-b"} == ours


def test_an_operator_does_not_go_on_with_other_settings(tmp_path: Path) -> None:
    """Where Azure does not tell the settings, what follows `&&` is not run."""
    told = run([take_over(), "take_over && echo on || echo off"], tmp_path, az="#!/bin/sh\nexit 1\n")

    assert "off\n" == told


def test_who_enrols_has_the_settings_that_were_just_deployed(tmp_path: Path) -> None:
    """The lines of the page, run by a shell: the command line would refuse the new accounts with the old settings."""
    (tmp_path / "secrets.csv").write_text("secret,resource-id\nkv/b,/new\n")
    (tmp_path / "deployed").write_text("ROTATION_ACCOUNTS\t/old\n")
    commands = [
        command for command in blocks(CHAPTERS["Enrol hundreds"]) if re.search(r"ids\(\)|\$\(ids|enroll", command)
    ]
    told = run(
        [take_over(), "take_over", *commands],
        tmp_path,
        az="#!/bin/sh\ncat deployed\n",
        azd=AZD_OF_SETTINGS,
        python='#!/bin/sh\necho "$ROTATION_ACCOUNTS $*"\n',
    )

    assert [
        "/new,/old -m rotation enroll --manifest secrets.csv --dry-run",
        "/new,/old -m rotation enroll --manifest secrets.csv",
    ] == told.splitlines()


def test_settings_are_taken_over_after_each_change() -> None:
    """Wherever a command line may be used next, by somebody whose shell has the settings from before."""
    deploy = sections("Deploy")["Take a vault or an account out"]
    lines = "\n".join([deploy, *(text for name, text in CHAPTERS.items() if name not in ("Deploy", "Upgrade"))])
    changes = [line for line in lines.splitlines() if re.search("azd provision(?! --)", line)]

    assert len(changes) >= 5
    assert [] == [line for line in changes if "take_over" not in line.partition("azd provision")[2]]


def take_over() -> str:
    """The command that takes over the settings of the app."""
    (command,) = [command for command in blocks(CHAPTERS["Your own machine"]) if "appsettings list" in command]
    return command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_have_no_comments(page: Path) -> None:
    """A zsh at which somebody types takes them for arguments."""
    assert [] == [command for command in blocks(page.read_text()) if re.search(r"(?m)(?:^|\s)#(?:\s|$)", command)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_query_is_wide_open_in_a_new_shell(page: Path) -> None:
    """Every name ends with nothing, and what is listed is deleted next."""
    text = page.read_text()
    queries = re.findall(r'--query "(.+?)"', "\n".join([*blocks(text), *inline(text)]))
    assert [] == [query for query in queries if re.search(r"\$(?!\{\w+:\?\})", query)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_those_of_the_azure_cli(page: Path) -> None:
    """What is gone from it is not told."""
    assert [] == [command for command in GONE if command in page.read_text()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_function_key_stands_in_no_address(page: Path) -> None:
    """Addresses are logged on their way; headers are not."""
    assert [] == re.findall(r".*[?&]code=.*", page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_variable_is_set_where_it_is_used(page: Path) -> None:
    """Who copies a command is not left with a variable that the page never sets."""
    text = page.read_text()
    commands = "\n".join([*blocks(text), *inline(text)])
    set_by = (r"(?:^ *|&& |export )([A-Za-z_]\w*)=", r"\bread (?:-\w+ )*((?:\w+ ?)+)", r"\bfor (\w+) in\b")
    known = {names for pattern in set_by for names in re.findall(pattern, commands, re.MULTILINE)}
    assert set() == set(re.findall(r"\$\{?([A-Za-z_]\w*)", commands)) - set(" ".join(known).split())


def test_anchors_lead_somewhere() -> None:
    """The page links to its own parts."""
    headings = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors
