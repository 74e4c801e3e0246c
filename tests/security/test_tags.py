"""What whoever may write to an allowed vault can do with tags, and what not."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from rotation.cli import main
from rotation.model import AccountId, Limits, Reason
from rotation.report import Outcome
from simulator.client import ControlClient
from tests.integration.engine import Bench, bench
from tests.integration.estates import SERVICES, one_account, publication
from tests.properties.strategies import near_tags
from tests.security.amounts import tries
from tests.security.contacts import strangers
from tests.security.test_messages import drawn
from tests.seeing import changes
from tests.surface.cli.test_output import Terminal

SUBSCRIPTION = "/subscriptions/0c0ffee0-5d3a-4f43-9a52-6f1d1b7a7e55"
SCOPE = f"{SUBSCRIPTION}/resourceGroups/rg-one"
OURS = f"{SCOPE}/providers/Microsoft.Storage/storageAccounts/stone"
THEIRS = f"{SUBSCRIPTION}/resourceGroups/rg-other/providers/Microsoft.Storage/storageAccounts/stother"
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b2J\r\nforged: 1 line\x00\u202e"

ELSEWHERE = {
    "another group": (THEIRS, Reason.NOT_ALLOWED),
    "another subscription": (OURS.replace("0c0ffee0", "00000000"), Reason.NOT_ALLOWED),
    "a group whose name begins alike": (OURS.replace("rg-one", "rg-one-two"), Reason.NOT_ALLOWED),
    "a group of one dot more": (OURS.replace("rg-one", "rg-one.a"), Reason.NOT_ALLOWED),
    "a long s for an s": (OURS.replace("rg-one", "rg-\u017fone"), Reason.NOT_ALLOWED),
    "another service": (f"{SCOPE}/providers/Microsoft.Compute/virtualMachines", Reason.TAGS_UNREADABLE),
    "another service with a name": (f"{SCOPE}/providers/Microsoft.Compute/virtualMachines/vm", Reason.UNKNOWN_TYPE),
    "a vault": (f"{SCOPE}/providers/Microsoft.KeyVault/vaults/kv-one", Reason.UNKNOWN_TYPE),
    "something inside": (f"{OURS}/blobServices/default", Reason.TAGS_UNREADABLE),
    "its keys": (f"{OURS}/listKeys", Reason.TAGS_UNREADABLE),
    "the way up": (OURS.replace("rg-one", "rg-one/.."), Reason.TAGS_UNREADABLE),
    "the way up in a name": (OURS.replace("stone", ".."), Reason.TAGS_UNREADABLE),
    "the way up as a group": (OURS.replace("rg-one", ".."), Reason.TAGS_UNREADABLE),
    "the way up, encoded": (OURS.replace("rg-one", "%2e%2e"), Reason.TAGS_UNREADABLE),
    "a slash, encoded": (OURS.replace("rg-one", "rg-one%2f..%2frg-other"), Reason.TAGS_UNREADABLE),
    "a backslash": (OURS.replace("rg-one", "rg-one\\..\\rg-other"), Reason.TAGS_UNREADABLE),
    "a query": (f"{OURS}?api-version=2020-01-01", Reason.TAGS_UNREADABLE),
    "a fragment": (f"{OURS}#", Reason.TAGS_UNREADABLE),
    "a query in the group": (OURS.replace("rg-one", "rg-one?x="), Reason.TAGS_UNREADABLE),
    "somebody's host": (f"https://evil.example{OURS}", Reason.TAGS_UNREADABLE),
    "somebody's host, without a scheme": (f"//evil.example{OURS}", Reason.TAGS_UNREADABLE),
    "somebody behind an at sign": (f"@evil.example{OURS}", Reason.TAGS_UNREADABLE),
    "somebody's port": (f":444{OURS}", Reason.TAGS_UNREADABLE),
    "a slash at the end": (f"{OURS}/", Reason.TAGS_UNREADABLE),
    "blanks": (f" {OURS}\t", Reason.TAGS_UNREADABLE),
    "a line more": (f"{OURS}\n", Reason.TAGS_UNREADABLE),
    "a Kelvin sign for a k": (OURS.replace("rg-one", "rg-\u212a"), Reason.TAGS_UNREADABLE),
    "wide letters": (OURS.replace("stone", "\uff53tone"), Reason.TAGS_UNREADABLE),
    "escapes": (ESCAPES, Reason.TAGS_UNREADABLE),
    "nothing": ("", Reason.TAGS_UNREADABLE),
    "much": ("/" * 256, Reason.TAGS_UNREADABLE),
}


def estate(**tags: str | None) -> dict[str, Any]:
    """Our account, due, somebody else's, and a secret in the other vault with tags of somebody's choice."""
    found = one_account("storage")
    other = {"type": "storage", "name": "stother", "resource_group": "rg-other"}
    secret = publication("storage", "hostile", "key", slot="key1")
    secret["tags"] = {name: text for name, text in {**secret["tags"], **tags}.items() if text is not None}
    vault = {"name": "kv-two", "resource_group": "rg-one", "secrets": [secret]}
    return {"accounts": [*found["accounts"], other], "vaults": [*found["vaults"], vault]}


async def outcomes(run: Bench, *, act: bool) -> dict[str, Outcome]:
    """What comes of every account and stray, by the last of its secrets."""
    survey = await run.survey()
    report = await (run.rotate() if act else run.plan())
    return {str(outcome.secrets[-1]): outcome for outcome in (*report.outcomes, *survey.strays)}


@pytest.mark.parametrize(("address", "reason"), ELSEWHERE.values(), ids=ELSEWHERE)
@pytest.mark.parametrize("tag", ["resource-id", "ProviderAddress"])
async def test_an_address_that_leads_elsewhere_is_refused_and_not_asked(
    simulator: ControlClient, tag: str, address: str, reason: Reason
) -> None:
    """S4, S7: with its reason, in one printable line; what it names is not contacted, and our account rotates."""
    told = estate(**{"resource-id": None, tag: address})
    simulator.reset(told)
    async with bench(told, ROTATION_ACCOUNTS=SCOPE) as run:
        found = await outcomes(run, act=True)

    refused, rotated = found["kv-two/hostile"], found["kv-one/secret-0"]
    assert refused.verdict is not None
    assert ("refused", reason, 3) == (refused.status, refused.verdict.reason, refused.exit_code)
    assert refused.verdict.because.isprintable()
    assert "changed" == rotated.status
    assert set() == strangers(simulator, ["kv-one", "kv-two"], ["stone"])


harm = st.sampled_from([*"/\\?#%@:&;=. \n\t\x00\x1b\u212a\u0130\u2126\u200b\u202e\ud800", "..", "//", "%2f", "%2e%2e"])


@tries(1500)
@given(
    st.lists(st.tuples(st.integers(0, len(OURS)), harm | st.text(max_size=3)), max_size=3),
    st.sampled_from([OURS, THEIRS]),
)
def test_what_is_allowed_lies_where_the_setting_says(inserted: list[tuple[int, str]], address: str) -> None:
    """S7: an address that passes is asked for at exactly that path of the management host, below the allowed scope."""
    for place, text in inserted:
        address = f"{address[:place]}{text}{address[place:]}"
    try:
        account = AccountId.parse(address)
    except ValueError:
        return
    asked = URL(f"https://management.azure.com{account}/listKeys")

    assert ("management.azure.com", f"{account}/listKeys", "") == (asked.host, asked.path, asked.query_string)
    if Limits(accounts=(SCOPE,)).allow(account):
        assert asked.path.upper().startswith(f"{SCOPE}/".upper())


def hostile_tags() -> Iterator[dict[str, str]]:
    """Our tags with something else in them, as far as Key Vault takes it."""
    ours = ("active-slot", "validity-days", "rotation-policy", "rotation-state", "CredentialId", "ValidityPeriodDays")
    garbage = [
        "",
        ESCAPES,
        "x" * 256,
        ";" * 256,
        "=;=",
        "paused=true;paused=false",
        "\ud7ff" * 85,
        "{}",
        "None",
        "key3",
    ]
    for tag in ours:
        yield from ({tag: text} for text in garbage)
    yield {"validity-days": "0"}
    yield {"validity-days": "-1"}
    yield {"validity-days": "9" * 200}
    yield {"validity-days": "\u0663\u0660"}
    yield {"rotation-policy": "rotate-before=P99999D;retire-after=P99999D"}
    yield {"rotation-policy": f"format={ESCAPES}"}
    yield {"rotation-policy": f"rotate-before={ESCAPES}"}
    yield {"rotation-state": "rotated-at=9999-12-31T23:59:59Z;staged-slot=key2;staged-at=9999-12-31T23:59:59Z"}
    yield {"rotation-state": "rotated-at=0001-01-01T00:00:00Z;retire-at=0001-01-01T00:00:00Z;retire-slot=key1"}
    yield {"rotation-state": f"id={'x' * 41}"}
    yield {"rotation-state": "id=../../x"}
    yield {"active-slot": "../../listKeys"}
    yield {ESCAPES: ESCAPES, "resource-id": "x"}


async def test_garbage_in_tags_is_refused_by_name(simulator: ControlClient, caplog: pytest.LogCaptureFixture) -> None:
    """S4: for an account that is allowed, each is read or refused; none is a defect, and no line is forged."""
    caplog.set_level(logging.DEBUG, "rotation")
    fuzzed = [{**tags, "resource-id": OURS} for tags in drawn(near_tags, 30) if fits(tags)]
    for tags in [*hostile_tags(), *fuzzed]:
        told = estate(**{"resource-id": OURS, **tags})
        simulator.reset(told)
        async with bench(told, ROTATION_ACCOUNTS=SCOPE) as run:
            found = [*(await outcomes(run, act=False)).values(), *(await outcomes(run, act=True)).values()]
        for outcome in found:
            assert outcome.error is None, (tags, outcome.error)
            assert outcome.verdict is not None
            assert outcome.verdict.because.isprintable()
        assert set() == strangers(simulator, ["kv-one", "kv-two"], ["stone"])
        assert [] == [row for row in simulator.verdict() if row["account"] == "stone" and not row["opens"]]


def fits(tags: dict[str, str]) -> bool:
    """Whether Key Vault would take them."""
    return len(tags) < 10 and all(
        len(text.encode("utf-16-le", "ignore")) <= 400 for item in tags.items() for text in item
    )


def test_nothing_of_a_tag_reaches_a_terminal_raw(
    simulator: ControlClient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither through tables nor through JSON, in pipes."""
    monkeypatch.setenv("ROTATION_VAULTS", "kv-one,kv-two")
    for tags in hostile_tags():
        simulator.reset(estate(**{"resource-id": OURS, **tags}))
        for arguments in (("plan",), ("status", "--json")):
            main(arguments)
            said = capsys.readouterr()
            lines = (said.out + said.err).split("\n")
            assert [] == [line for line in lines if not line.isprintable() or line.startswith("forged")]


@pytest.mark.parametrize("arguments", [("status",), ("audit",), ("rotate", "--all")])
def test_nothing_of_a_tag_moves_the_cursor(simulator: ControlClient, arguments: tuple[str, ...]) -> None:
    """On a terminal nothing but our own colours and movements is sent."""
    tags = {"resource-id": ESCAPES, "active-slot": ESCAPES, "rotation-policy": ESCAPES, ESCAPES: ESCAPES}
    simulator.reset(estate(**tags))
    terminal = Terminal(60, *arguments, ROTATION_VAULTS="kv-one,kv-two")

    terminal.end()
    shown = re.sub(r"\x1b\[[0-9;?]*[mKlhA-G]", "", terminal.raw)
    assert [] == [char for char in shown if not char.isprintable() and char not in "\r\n"]
    assert "kv-two/hostile" in shown


@pytest.mark.parametrize("service", SERVICES)
async def test_an_account_in_capitals_is_rotated_all_the_same(simulator: ControlClient, service: str) -> None:
    """Azure does not care how a resource id is spelled, but for the name in a signature."""
    simulator.reset(one_account(service))
    capitals = simulator.accounts()[0]["id"].upper()
    told = one_account(service, tags={"resource-id": capitals})
    simulator.reset(told)
    async with bench(told, ROTATION_PROBE_TIMEOUT="PT0S") as run:
        report = await run.rotate()

    assert ["changed"] == [outcome.status for outcome in report.outcomes], report.to_json()


@pytest.mark.parametrize("spelling", [str, str.upper])
async def test_who_may_write_to_an_allowed_vault_can_have_the_key_of_an_allowed_account(
    simulator: ControlClient, spelling: Any
) -> None:
    """What SECURITY.md warns of: a secret that names the account joins its publications, and is given its key.

    ROTATION_ACCOUNTS is the border: the same for an account outside of it comes to nothing.
    """
    told = estate(**{"resource-id": spelling(OURS)})
    told["vaults"][1]["secrets"][0] |= {"account": None, "slot": None, "created": "P1D"}
    del told["vaults"][1]["secrets"][0]["account"], told["vaults"][1]["secrets"][0]["slot"]
    told["vaults"][1]["secrets"][0]["tags"]["active-slot"] = "key1"
    simulator.reset(told)
    async with bench(told, ROTATION_ACCOUNTS=SCOPE) as run:
        report = await run.rotate()
    assert ["changed"] == [outcome.status for outcome in report.outcomes], report.to_json()
    assert [("hostile", True)] == [
        (row["secret"], row["opens"]) for row in simulator.verdict() if row["vault"] == "kv-two"
    ]

    simulator.reset(told)
    async with bench(told, ROTATION_ACCOUNTS=SCOPE.replace("rg-one", "rg-none")) as run:
        await run.rotate()
    assert [] == changes(simulator)
    assert set() == strangers(simulator, ["kv-one", "kv-two"], [])


ANSWER = json.dumps({"error": {"code": f"Bad{ESCAPES}", "message": f"no {ESCAPES}"}})


@pytest.mark.parametrize("host", ["management", "kv-one"])
def test_nothing_of_an_answer_reaches_a_terminal_raw(
    simulator: ControlClient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """Services quote what somebody else chose, such as names."""
    monkeypatch.setenv("ROTATION_VAULTS", "kv-one")
    simulator.reset(one_account("storage"))
    simulator.fault(host=host, status=400, body=ANSWER)
    main(("plan",))
    said = capsys.readouterr()

    assert [] == [line for line in (said.out + said.err).split("\n") if not line.isprintable()]
