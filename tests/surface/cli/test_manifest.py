"""`enroll --manifest`: many secrets at once, each with its own outcome, and nothing done by half."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.client import ControlClient
from tests.surface.cli.command import Command, Ran
from tests.surface.cli.estates import FRESH, PUBSUB_ID, STORAGE, STORAGE_ID, SUBSCRIPTION

HEADER = "secret,resource-id,format,validity-days"
BATCH_ID = f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Batch/batchAccounts/batchx"

Enroll = Callable[..., Ran]
"""Takes the lines of a manifest, and further options."""


@pytest.fixture
def enroll(command: Command, tmp_path: Path) -> Enroll:
    """Enrolls what a manifest says."""

    def run(lines: list[str], *options: str, header: str = HEADER) -> Ran:
        file = tmp_path / "secrets.csv"
        file.write_text("\n".join([header, *lines, ""]))
        return command("enroll", "--manifest", str(file), *options)

    return run


def writes(simulator: ControlClient) -> int:
    """How many secrets were written."""
    return sum(entry["method"] in ("PUT", "PATCH") for entry in simulator.journal())


def test_each_line_is_an_enrolment(enroll: Enroll, command: Command, simulator: ControlClient) -> None:
    """Their terms are kept, every secret opens its account, and no key was regenerated."""
    ran = enroll(
        [
            f"kv-orders/live-key,{PUBSUB_ID},,",
            f"kv-billing/live-json,{PUBSUB_ID},json,",
            f"kv-billing/storage-again,{STORAGE_ID},connection-string,60",
        ],
        "--json",
    )

    assert ran.code == 0
    rows = {row["secret"]: row for row in ran.document["rows"]}
    assert [2, 3, 4] == [row["line"] for row in rows.values()]
    assert ran.document["counts"] == {"changed": 3}
    assert [] == [verdict for verdict in simulator.verdict() if not verdict["opens"]]
    assert not any("regenerate" in entry["path"].lower() for entry in simulator.journal())
    managed = command("status", "kv-billing/storage-again", "--json").document["accounts"][0]["secrets"]
    assert "kv-billing/storage-again" in managed


def test_the_lease_that_holds_nobody_else_off_is_mentioned_once(enroll: Enroll) -> None:
    """And only where something is written."""
    lines = [f"kv-orders/live-key,{PUBSUB_ID},,", f"kv-billing/storage-again,{STORAGE_ID},,"]

    tried, done, again = enroll(lines, "--dry-run"), enroll(lines), enroll(lines)

    assert [0, 1, 0] == [ran.out.count("the lease is in-process") for ran in (tried, done, again)]


def test_lines_of_one_account_agree(enroll: Enroll, simulator: ControlClient) -> None:
    """The second joins the slot that the first one holds, although the listing is older than that one."""
    simulator.add_account(type="storage", name="stfirst", resource_group="rg-first")
    simulator.add_secret("kv-orders", name="by-hand", account="stfirst", slot="key2")
    account = STORAGE_ID.replace("rg-orders", "rg-first").replace(STORAGE, "stfirst")

    ran = enroll([f"kv-orders/by-hand,{account},,", f"kv-billing/made,{account},json,"])

    assert ran.code == 0, ran.words
    slots = {v["secret"]: v["slot"] for v in simulator.verdict() if v["account"] == "stfirst"}
    assert slots == {"by-hand": "key2", "made": "key2"}


def test_a_failure_is_a_row_and_stops_no_other(enroll: Enroll, simulator: ControlClient) -> None:
    """The row says why, the exit code says that a person must act, and the others are enrolled."""
    lines = [
        f"kv-orders/orders-smtp-password,{STORAGE_ID},,",
        f"kv-orders/live-key,{PUBSUB_ID},,",
        f"kv-orders/nobody,{PUBSUB_ID}x,,",
    ]

    ran = enroll(lines)

    assert ran.code == 3
    assert "failed: refused" in ran.row("2 kv-orders/orders-smtp-password")
    assert "enrolled" in ran.row("3 kv-orders/live-key")
    assert "failed: not-found" in ran.row("4 kv-orders/nobody")
    assert "\n3 secrets: 1 changed, 2 failed\n" in ran.out
    assert 1 == writes(simulator)


def test_the_same_manifest_again_goes_on(enroll: Enroll, simulator: ControlClient) -> None:
    """What is enrolled is left alone, what failed is tried again."""
    lines = [f"kv-orders/live-key,{PUBSUB_ID},,", f"kv-billing/storage-again,{STORAGE_ID},,"]
    simulator.deny("Microsoft.KeyVault/vaults/secrets/setSecret/action", "kv-billing")
    first = enroll(lines)
    simulator.allow_all()

    second, third = enroll(lines), enroll(lines)

    assert (first.code, second.code, third.code) == (3, 0, 0)
    assert "\n2 secrets: 1 changed, 1 left alone\n" in second.out
    assert third.out.endswith("2 secrets: 2 left alone\n")


def test_a_dry_run_writes_nothing(enroll: Enroll, simulator: ControlClient) -> None:
    """It says what would be written, and what would fail."""
    ran = enroll([f"kv-orders/live-key,{PUBSUB_ID},,", f"{FRESH},{STORAGE_ID},,"], "--dry-run")

    assert ran.code == 3
    assert "publish: enrolled" in ran.row("2 kv-orders/live-key")
    assert "is created from Primary" in ran.row("2 kv-orders/live-key")
    assert "failed: refused" in ran.row(f"3 {FRESH}")
    assert 0 == writes(simulator)


WRONG = {
    "no reference": ("orders-storage-key,{id},,", "line 2, secret: not VAULT/SECRET"),
    "no account": ("kv-orders/a,stcontosoorders,,", "line 2, resource-id: not the resource id of an account"),
    "no cell for the account": ("kv-orders/a", "line 2, resource-id: not the resource id of an account"),
    "another kind": ("kv-orders/a,{other},,", "line 2, resource-id: accounts of type Microsoft.Web/sites are unknown"),
    "no format": ("kv-orders/a,{id},yaml,", "line 2, format: not one of key, connection-string, json"),
    "a format it has not": (f"kv-orders/a,{BATCH_ID},connection-string,", "line 2, format: Microsoft.Batch/batchAcc"),
    "no days": ("kv-orders/a,{id},,P90D", "line 2, validity-days: not a number of days from 1 to 3650"),
    "too many days": ("kv-orders/a,{id},,4000", "line 2, validity-days: not a number of days"),
    "twice": ("kv-orders/a,{id},,\nKV-orders/A,{id},,", "line 3, secret: kv-orders/a stands in line 2 already"),
    "a vault that is not ours": ("kv-elsewhere/a,{id},,", "line 2, secret: kv-elsewhere is not one of the vaults in"),
    "a cell too many": ("kv-orders/a,{id},,,", "line 2: it has 5 cells, and the first line names 4"),
    "an open quote": (
        'kv-orders/a,{id},,\n"kv-orders/b,{id},,\nkv-orders/c,{id},,',
        "line 3: it is no line of a CSV file",
    ),
    "a quote that ends in the middle": ('"kv-orders"/a,{id},,', "line 2: it is no line of a CSV file"),
    "nothing": ("\n,,,", "it names no secret"),
}


@pytest.mark.parametrize(("lines", "complaint"), WRONG.values(), ids=WRONG)
def test_a_line_that_cannot_be_understood_stops_all(
    enroll: Enroll, simulator: ControlClient, lines: str, complaint: str
) -> None:
    """The complaint has its place, and Azure hears nothing of it."""
    other = STORAGE_ID.replace("Microsoft.Storage/storageAccounts", "Microsoft.Web/sites")
    simulator.clear_journal()

    ran = enroll(lines.format(id=PUBSUB_ID, other=other).split("\n"))

    assert (ran.code, ran.out) == (2, "")
    assert complaint in ran.words
    assert [] == simulator.journal()


def test_every_complaint_is_told_at_once(enroll: Enroll) -> None:
    """One run is enough to learn of every line that has to be changed."""
    lines = ["a,b,c,d", f"kv-orders/a,{PUBSUB_ID},,,", f"kv-nope/a,{PUBSUB_ID},,0", '"kv-orders/b,,,', "", ""]

    ran = enroll(lines, "--json")

    message = ran.document["error"]["message"]
    assert (ran.code, ran.document["error"]["code"]) == (2, "bad-input")
    places = [re.match(r"line (\d)", line)[1] for line in message.splitlines()[1:]]  # type: ignore[index]  # all do
    assert ["2", "2", "2", "2", "3", "4", "4", "5"] == places


def test_an_account_that_is_not_allowed_is_told_beforehand(
    enroll: Enroll, simulator: ControlClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the settings say needs no look at Azure."""
    monkeypatch.setenv("ROTATION_ACCOUNTS", STORAGE_ID)
    simulator.clear_journal()

    ran = enroll([f"kv-orders/a,{PUBSUB_ID},,"])

    assert ran.code == 2
    assert "line 2, resource-id: wps-contoso-live is outside of ROTATION_ACCOUNTS" in ran.words
    assert [] == simulator.journal()


HEADERS = {
    "secret": "resource-id is missing",
    "secret,resource_id": "resource-id is missing; 'resource_id' is none of them",
    f"{HEADER},owner": "'owner' is none of them",
    "secret,resource-id,secret": "secret stands there twice",
    "secret;resource-id": "it has 'secret;resource-id': put commas between them",
    "secret\tresource-id": "put commas between them",
    f"kv-orders/a,{PUBSUB_ID}": "another text is none of them",
}


@pytest.mark.parametrize(("header", "complaint"), HEADERS.items())
def test_the_first_line_names_the_columns(enroll: Enroll, header: str, complaint: str) -> None:
    """A column that is not known could mean anything; what stands there is quoted where it may be a name."""
    ran = enroll([f"kv-orders/live-key,{PUBSUB_ID}"], header=header)

    assert ran.code == 2
    assert "line 1: it has to name the columns secret, resource-id, and may name format and validity-days" in ran.words
    assert complaint in ran.words


def test_a_key_in_a_wrong_cell_is_not_repeated(enroll: Enroll, simulator: ControlClient, tmp_path: Path) -> None:
    """The runner of these tests looks for every key in what was said, and in the files that are left."""
    key = simulator.keys()[0]

    below = enroll([f"{key},{key},{key},{key}"])
    above = enroll([], header=f"{key};{key}")
    (tmp_path / "secrets.csv").unlink()

    assert (below.code, above.code) == (2, 2)
    assert key not in below.words + above.words


def test_what_spreadsheets_write_is_read(command: Command, tmp_path: Path) -> None:
    """A mark of the encoding, quotes, blanks, columns in another order, and a line without cells."""
    file = tmp_path / "secrets.csv"
    file.write_bytes(f'\ufeff"Resource-Id", Secret\r\n"{PUBSUB_ID}/", kv-orders/live-key\r\n,\r\n'.encode())

    ran = command("enroll", "--manifest", str(file))

    assert ran.code == 0, ran.words
    assert "\n1 secret: 1 changed\n" in ran.out


def test_what_is_no_text_is_told(command: Command, tmp_path: Path) -> None:
    """A spreadsheet itself, say."""
    file = tmp_path / "secrets.xlsx"
    file.write_bytes(b"PK\x03\x04\xff\xfe")

    ran = command("enroll", "--manifest", str(file))

    assert ran.code == 2
    assert "line 1: it is not in UTF-8" in ran.words


def test_a_letter_in_another_encoding_has_its_line(command: Command, tmp_path: Path) -> None:
    """A spreadsheet saved as CSV without saying which."""
    file = tmp_path / "secrets.csv"
    file.write_bytes(f"{HEADER}\nkv-orders/a,{PUBSUB_ID},,\n{PUBSUB_ID},Gr\xfc\xdfe,,\n".encode("latin-1"))

    ran = command("enroll", "--manifest", str(file))

    assert ran.code == 2
    assert "line 3: it is not in UTF-8" in ran.words


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="there is no file that can be opened and not read")
def test_a_manifest_that_cannot_be_read_is_a_wrong_argument(command: Command, simulator: ControlClient) -> None:
    """It is no answer that could not be written, and nothing was enrolled."""
    ran = command("enroll", "--manifest", "/proc/self/mem")

    assert (ran.code, simulator.journal()) == (2, [])
    assert "--manifest: the file cannot be read: Input/output error" in ran.err
