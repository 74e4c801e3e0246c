"""What leaves the process when something goes wrong, with every logger at work, and with keys in Azure's answers."""

import json
import logging
import re
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest

from rotation.cli import main
from rotation.errors import RotationError
from simulator.client import ControlClient
from tests.integration.engine import bench
from tests.integration.estates import SERVICES, one_account
from tests.integration.triggered import app
from tests.surface.leaks import leaked

REQUESTS = {
    "list the vault": {"host": "kv-one", "path": "/secrets/?$"},
    "read a secret": {"host": "kv-one", "path": "/secrets/secret-0/?$", "method": "GET"},
    "publish": {"host": "kv-one", "path": "/secrets/secret-0/?$", "method": "PUT"},
    "read the account": {"host": "management", "method": "GET"},
    "list the keys": {"host": "management", "path": "listKeys$"},
    "regenerate": {"host": "management", "path": "regenerateKeys?$"},
    "try a key": {"host": r"blob\.|batch\.azure|webpubsub"},
}


@pytest.fixture
def talkative(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Every logger tells everything."""
    quiet = {name: logging.getLogger(name).level for name in ("azure", "rotation", "")}
    for name in quiet:
        logging.getLogger(name).setLevel(logging.DEBUG)
    with caplog.at_level(logging.DEBUG):
        yield caplog
    for name, level in quiet.items():
        logging.getLogger(name).setLevel(level)


def refusal(said: str) -> str:
    """A refusal whose message, and what stands beside it, hold what they should not."""
    return json.dumps({"error": {"code": "Bad", "message": f"{said} is bad", "details": [{"message": said}]}})


ANSWERS: dict[str, tuple[int, Callable[[str], str]]] = {
    "a refusal": (403, refusal),
    "a complaint": (400, refusal),
    "a broken refusal": (403, lambda said: f'{{"error": {{"message": "{said}"'),
    "a broken answer": (200, lambda said: f'{{"value": "{said}"'),
    "another answer": (200, lambda said: json.dumps({"value": [said], "keys": {said: said}, "primary": said})),
}


@pytest.mark.parametrize(("status", "body"), ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("where", REQUESTS.values(), ids=REQUESTS)
async def test_a_key_in_what_azure_says_is_not_said_again(
    simulator: ControlClient,
    talkative: pytest.LogCaptureFixture,
    where: dict[str, str],
    status: int,
    body: Callable[[str], str],
) -> None:
    """S6: in no report, no log record at any level, and no error with all its causes."""
    estate = one_account("storage")
    simulator.reset(estate)
    fault = simulator.fault(**where, status=status, body=body(" and ".join(simulator.keys()[-2:])))
    async with bench(estate, ROTATION_PROBE_TIMEOUT="PT0S") as run:
        report = await run.rotate()
    errors = [outcome.error for outcome in report.outcomes if outcome.error] + list(report.problems.values())
    said = "\n".join((json.dumps(report.to_json()), repr(report), talkative.text, *map(told, errors)))

    assert simulator.hits(fault)
    assert "azure" in {record.name.split(".")[0] for record in talkative.records}
    assert [] == leaked(said, simulator.keys())
    assert [] == tokens(said)


FORMS: dict[str, Callable[[str], str]] = {
    "an address": lambda key: f"https://host/?key={quote(key, safe='')}&x=1",
    "an address in an address": lambda key: quote(quote(key, safe=""), safe=""),
    "base64": lambda key: b64encode(f"AccountName=stone;AccountKey={key};".encode()).decode(),
    "base64 without an end": lambda key: b64encode(key.encode()).decode().rstrip("="),
    "the alphabet of addresses": lambda key: key.translate(str.maketrans("+/", "-_")),
    "the alphabet of addresses without an end": lambda key: key.translate(str.maketrans("+/", "-_")).rstrip("="),
    "without an end": lambda key: key.rstrip("="),
    "a part of it": lambda key: f"Invalid value 'AccountKey={key[:70]}...'",
    "slashes escaped in JSON": lambda key: key.replace("/", "\\/"),
    "JSON in JSON": lambda key: json.dumps(key).replace("+", "\\u002B").replace("=", "\\u003D"),
    "hex": lambda key: key.encode().hex(),
    "a connection string": lambda key: f"AccountName=stone;AccountKey={key};EndpointSuffix=core.windows.net",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
async def test_a_key_is_not_said_again_in_any_form(simulator: ControlClient, form: Callable[[str], str]) -> None:
    """S6: neither in the error nor in what caused it, for keys with all kinds of characters."""
    estate = one_account("storage")
    simulator.reset(estate)
    said = []
    for key in (f"{'kQ7+/' * 17}e==", *simulator.keys()[-8:]):
        simulator.fault(path="listKeys$", status=403, body=refusal(form(key)), times=1)
        async with bench(estate) as run:
            (outcome,) = (await run.rotate()).outcomes
        assert outcome.error is not None
        said.append(told(outcome.error))
        assert [] == leaked(said[-1], [key])

    assert all("403" in text for text in said)


@pytest.mark.usefixtures("host_storage")
@pytest.mark.parametrize("service", SERVICES)
async def test_the_functions_say_no_key_or_token_at_any_level(
    simulator: ControlClient, talkative: pytest.LogCaptureFixture, service: str
) -> None:
    """S6: through everything that they do, with answers that are lost, and an emergency."""
    simulator.reset(one_account(service, publications=3))
    simulator.fault(path="regenerateKeys?$", when="after", status=500, times=1)
    said: list[str] = []
    async with app() as triggers:
        said += await triggers.sweep()
        for message in (said[0].encode(), b"{}", json.dumps({**json.loads(said[0]), "secrets": ["kv-one/x"]}).encode()):
            try:
                await triggers.rotate_account(message)
            except RotationError as error:
                said.append(told(error))
        route = {"vault": "kv-one", "secret": "secret-0"}
        said.append((await triggers.status({"deep": "true"})).text)
        said.append((await triggers.rotate_now(route, {}, b'{"compromised": "both", "grace": "PT0S"}')).text)
        said.append((await triggers.status({})).text)

    assert len(simulator.keys()) >= 4
    assert [] == leaked("\n".join((*said, talkative.text)), simulator.keys())
    assert [] == tokens("\n".join((*said, talkative.text)))


@pytest.mark.parametrize("arguments", [(), ("--json",)], ids=["table", "JSON"])
def test_the_command_line_says_no_key_or_token_at_any_level(
    simulator: ControlClient,
    talkative: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
) -> None:
    """S6: every command, beginning with an estate where something of everything is to be done."""
    account = next(account for account in simulator.accounts() if account["type"] == "batch")
    for command in (
        ("doctor",),
        ("plan",),
        ("enroll", "kv-orders/new", "--resource-id", account["id"], "--format", "json"),
        ("rotate", "--due"),
        ("audit", "--repair"),
        ("rotate", "kv-orders/live-connection", "--compromised", "both", "--grace", "PT0S"),
        ("status",),
    ):
        assert main((*command, *arguments)) in (0, 1, 3)
    printed = capsys.readouterr()
    said = f"{printed.out}\n{printed.err}\n{talkative.text}"

    assert [] == leaked(said, simulator.keys())
    assert [] == tokens(said)


def tokens(said: str) -> list[str]:
    """Bearer tokens, and what a client signed."""
    return re.findall(r"eyJ[\w-]{10,}\.[\w.-]{20,}|SharedKey \w+:\S+|[?&]sig=\w+", said)


def told(error: BaseException) -> str:
    """An error as the runtime prints it, with what caused it and what it knows."""
    return "".join(traceback.format_exception(error)) + repr(vars(error)) + repr(error.args)
