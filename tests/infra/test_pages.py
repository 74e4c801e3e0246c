"""What the pages have somebody type is what the program, the templates and the HTTP functions take."""

import itertools
import json
import re
import shlex
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from typer.main import get_group

from rotation import cli
from rotation.orders import read_order
from tests.infra.bicep import INFRA, ROOT, read
from tests.infra.pages import PAGES, blocks, inline

COMMANDS = get_group(cli.app).commands
PROGRAM = "python -m rotation"
OPERATIONS = (ROOT / "docs/operations.md").read_text()
ACCOUNT = f"/subscriptions/{UUID(int=1)}/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/storders"
ROUTES = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())["paths"]
PARAMETERS = {
    name: default
    for entry in json.loads((INFRA / "main.parameters.json").read_text())["parameters"].values()
    for name, _, default in [entry["value"].removeprefix("${").removesuffix("}").partition("=")]
}
"""The defaults of what a deployment is given, by the names that azd knows."""
ASKED = {"AZURE_ENV_NAME", "AZURE_LOCATION"}
"""What azd asks for by itself."""
NUMBERS = {"six": 6, "seven": 7, "eight": 8, "nine": 9}

WIDTH = {
    ("Owner", "/subscriptions/SUBSCRIPTION"),
    ("Website Contributor", "$(az group show --name $GROUP --query id --output tsv)"),
    ("Storage Blob Data Contributor", "$STORAGE_ID/blobServices/default/containers/rotation-leases"),
    ("Storage Blob Data Reader", "$STORAGE_ID"),
    ("Storage Queue Data Message Processor", "$STORAGE_ID"),
}
"""The built-in roles that the pages assign, and on what: no more than the sentences around them speak of."""


def words(command: str) -> list[str]:
    """The words of a command up to where a shell ends it; what Azure is asked for is the id of an account."""
    line, *_ = command.replace("\\\n", " ").splitlines()
    plain = re.sub(r'"\$\(az [^)]*\)"|/subscriptions/…\S*|(?<=--resource-id )…', ACCOUNT, line)
    shell = shlex.shlex(plain, posix=True, punctuation_chars=True)
    shell.whitespace_split = True
    return [*itertools.takewhile(lambda word: not set(word) <= set("|&;<>()"), shell)]


def orders(commands: list[str]) -> list[list[str]]:
    """The arguments of the command line, wherever in a command it stands."""
    return [words(part) for command in commands for part in command.split(f"{PROGRAM} ")[1:]]


TYPED = [(page.name, order) for page in PAGES for order in orders(blocks(page.read_text()))]
TOLD = [
    (page.name, order)
    for page in PAGES
    for command in inline(page.read_text())
    for order in (orders([command]) or ([words(command)] if command.split(" ")[0] in COMMANDS else []))
]


@pytest.mark.parametrize(("page", "order"), TYPED, ids=lambda told: told if isinstance(told, str) else " ".join(told))
def test_a_command_of_a_page_can_be_typed(
    page: str, order: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program understands it; nothing is run."""
    (tmp_path / "secrets.csv").touch()
    monkeypatch.chdir(tmp_path)

    assert COMMANDS[order[0]].make_context(order[0], order[1:]).params, page


@pytest.mark.parametrize(("page", "order"), TOLD, ids=lambda told: told if isinstance(told, str) else " ".join(told))
def test_a_command_in_a_sentence_has_options_that_there_are(page: str, order: list[str]) -> None:
    """It need not be complete there."""
    options = {option for parameter in COMMANDS[order[0]].params for option in parameter.opts}
    assert {word for word in order if word.startswith("--")} <= options, page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_command_is_overlooked(page: Path) -> None:
    """Each stands in a block or between backticks."""
    text = page.read_text()
    assert len(re.findall(rf"{PROGRAM} (?=\w)", text)) == len(orders([*blocks(text), *inline(text)]))


def test_in_an_emergency_the_published_key_is_replaced_and_the_idle_one_ended() -> None:
    """The other way round both commands succeed and leave the leaked key alive."""
    chapter = OPERATIONS.partition("\n## In an emergency\n")[2].partition("\n### ")[0]
    steps = dict(re.findall(r"^(\d)\. (.*?)(?=^\d\. |\Z)", chapter, re.MULTILINE | re.DOTALL))
    grace = ["--compromised", "active", "--grace", "PT10M", "--request-id", "incident-7"]

    assert [["rotate", "kv-orders/orders-storage-key", *grace]] == orders(blocks(steps["4"]))
    assert [["rotate", "kv-orders/orders-storage-key", "--compromised", "idle"]] == orders(blocks(steps["7"]))
    assert [*zip(grace[::2], grace[1::2], strict=True)] == [
        (f"--{name.replace('_', '-')}", value) for name, value in bodies(steps["4"])[0].items()
    ]
    assert {"compromised": "idle"} == bodies(steps["4"])[1]


def bodies(text: str) -> list[dict[str, Any]]:
    """The bodies of requests in a text."""
    found = re.findall(r"(?:--data|-d) '(\{.*?\})'|body is `(\{.*?\})`", text, re.DOTALL)
    return [json.loads(sent or told) for sent, told in found]


def test_the_app_reads_every_body() -> None:
    """Each member and each value."""
    found = [body for page in PAGES for body in bodies(page.read_text())]
    assert len(found) >= 4
    for body in found:
        read_order("kv-orders", "storage-key", {}, json.dumps(body).encode())


def test_every_route_is_one_of_the_app() -> None:
    """With the method and the query that it takes; what begins with hubs is one of Web PubSub."""
    shown = [command for page in PAGES for command in blocks(page.read_text()) if "/api/" in command]
    told = [text for page in PAGES for text in inline(page.read_text()) if re.search("/api/(?!hubs)", text)]
    assert len(shown) >= 6
    for command in [*shown, *told]:
        for path, query in re.findall(r"/api(/[\w{}/-]+)(?:\?(\w+)=)?", command):
            (route,) = (route for route in ROUTES if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route), path))
            method = re.search(r"(?:-X|--request) (\w+)|^(POST) ", command)
            assert {(method[1] or method[2] if method else "GET").lower()} == ROUTES[route].keys(), command
            (operation,) = ROUTES[route].values()
            assert not query or query in {parameter["name"] for parameter in operation["parameters"]}


def test_roles_are_those_that_are_made_and_built_in_ones_no_wider_than_they_must_be() -> None:
    """By their names, in which the token is that of the app."""
    ours = {role["roleName"].strip("'") for role in read("modules/roles").variables["definitions"]}
    named = {f"{name} (${{token}})" for name in re.findall(r"\b(Key rotation of [\w ,]+) \(\$TOKEN\)", OPERATIONS)}
    assert {name for name in ours if "operations" not in name} == named

    given = [command for command in blocks(OPERATIONS) if "role assignment create" in command]
    assigned = [dict(itertools.pairwise(shlex.split(re.sub(r'"(\$\(.*?\))"', _quoted, line)))) for line in given]
    roles = {(each["--role"], each["--scope"]) for each in assigned}
    assert {(role, scope) for role, scope in roles if not role.startswith("Key rotation of ")} == WIDTH
    assert {
        ("Key rotation of secrets ($TOKEN)", "VAULT-ID"),
        ("Key rotation of Storage ($TOKEN)", "ACCOUNT-ID"),
        ("Key rotation of Storage ($TOKEN)", "$ACCOUNTS"),
    } == roles - WIDTH


def _quoted(command: re.Match[str]) -> str:
    return shlex.quote(command[1].replace('"', ""))


def test_every_variable_of_a_deployment_is_one_that_is_read() -> None:
    """By the parameters, or by azd itself; in GitHub also what the sign-in takes."""
    texts = [page.read_text() for page in PAGES if page.name != "CHANGELOG.md"]
    texts += [path.read_text() for path in sorted((INFRA / "hooks").iterdir())]
    set_by_azd = {name for text in texts for name in re.findall(r"azd env set ([A-Z_]+)", text)}
    in_github = {name for text in texts for name in re.findall(r"gh variable \w+ ([A-Z_]+)", text)}
    deploy = (ROOT / ".github/workflows/deploy.yml").read_text()

    assert len(set_by_azd) > 6
    assert set_by_azd - {"NAME", "DEPLOY_"} <= {*PARAMETERS, "AZURE_SUBSCRIPTION_ID"}
    assert in_github - {"NAME"} <= set(re.findall(r"vars\.(\w+)", deploy))


def test_the_table_of_a_deployment_has_its_defaults() -> None:
    """And the sentence below it names the rest; what has no default is said to have none, or what comes instead."""
    rows = re.findall(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \| (.+?) \| (.+) \|$", OPERATIONS, re.MULTILINE)
    told = {name: (default, says) for names, default, says in rows for name in inline(names)}
    (number, rest) = re.findall(r"(\w+) are set in the same way, .+?: (.+)\.", OPERATIONS)[0]
    same = inline(rest)

    assert NUMBERS[number] == len(same)
    assert PARAMETERS.keys() - ASKED == {*told, *same}
    for name, (default, _) in told.items():
        assert (default.strip("`") if re.fullmatch(r"`[^`]+`", default) else "") == PARAMETERS[name], name
    main = read("main")
    assert "@minValue(30)\n@maxValue(730)\nparam logRetentionDays int" in main.text
    assert told["LOG_RETENTION_DAYS"][1].endswith(" 30 to 730")
    assert main.allowed["pythonVersion"] == inline(told["DEPLOY_PYTHON_VERSION"][1])
    assert {*main.allowed["eventRoute"]} == {PARAMETERS["EVENT_ROUTE"], *inline(told["EVENT_ROUTE"][1])}


def test_a_pipeline_deploys_the_same_defaults() -> None:
    """A value that GitHub does not have is as one that azd does not have; flags and numbers cannot be empty."""
    jobs = yaml.safe_load((ROOT / ".github/workflows/deploy.yml").read_text())["jobs"]
    given = {name: re.search(r"\|\| '(.*)'", told) for name, told in jobs["deploy"]["env"].items()}

    assert {name: default for name, default in PARAMETERS.items() if default} == {
        name: found[1] for name, found in given.items() if found
    }


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs/operations.md"], ids=lambda page: page.name)
def test_everybody_is_kept_from_deleting_their_vaults(page: Path) -> None:
    """Wherever it is spoken of; only the demo may go that way."""
    lines = [line for line in page.read_text().splitlines() if "azd down" in line]
    assert lines[0].startswith("**Do not run `azd down`** ")
    assert [] == [line for line in lines[1:] if not line.startswith("For the demo it is `azd down --purge`")]


def test_nothing_is_deleted_but_what_the_app_brought() -> None:
    """No vault, no account, and of groups only the app's own."""
    assert ['--name "$GROUP"'] == re.findall(r"\baz group delete (.+)", OPERATIONS)
    assert {"group", "resource", "role assignment", "role definition", "storage message"} == {
        group
        for page in PAGES
        for group in re.findall(r"\baz ([a-z]+(?: [a-z]+)*) (?:delete|purge)\b", page.read_text())
    }


def test_things_are_as_many_as_they_are_said_to_be() -> None:
    """Those to know before a deployment."""
    number, things = re.findall(r"^(\w+) things to know beforehand:\n\n((?:- .+\n)+)", OPERATIONS, re.MULTILINE)[0]
    assert NUMBERS[number.lower()] == things.count("\n")


def test_times_at_which_readers_see_a_new_key_are_those_with_sources() -> None:
    """docs/reading-keys.md says where they are from; these are what Azure documents."""
    reading = (ROOT / "docs/reading-keys.md").read_text()
    documented = {
        "App Service and Functions": "24 hours",
        "Container Apps": "30 minutes",
        "Secrets Store CSI": "2 minutes",
    }
    for platform, time in documented.items():
        for page in (OPERATIONS, reading):
            (row, *_) = re.findall(rf"^\| [^|]*{platform}[^|]*\| (.+)$", page, re.MULTILINE)
            assert re.match(rf"(?:up to )?{time}\b", row), platform
    overlaps = re.findall(r"^\| (Container Apps|App Service references) \| (.+) \|$", OPERATIONS, re.MULTILINE)
    assert [("Container Apps", "an hour and more"), ("App Service references", "the default, `P2D`")] == [
        (platform, overlap.partition(":")[0]) for platform, overlap in overlaps
    ]
