"""A list of secrets that are to come under rotation together: a CSV file with one secret on each line."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from rotation.errors import BadInput, RotationError
from rotation.model import AccountId, Format, SecretRef
from rotation.ports import Tools
from rotation.tags import MAX_VALIDITY_DAYS

NEEDED = ("secret", "resource-id")
COLUMNS = (*NEEDED, "format", "validity-days")
"""The names in the first line; the last two columns, and any cell in them, may be left out."""

NO_CSV = "it is no line of a CSV file; look for a quote that is not closed"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One enrolment that is asked for; what is None is taken from what stands there."""

    line: int
    ref: SecretRef
    account: AccountId
    form: Format | None
    validity: timedelta | None


def read(content: bytes, tools: Tools) -> tuple[Row, ...]:
    """Read a manifest; raises BadInput with every complaint that needs no look at Azure, each with its line.

    No complaint repeats a cell: a key may have slipped into one.
    """
    complaints: list[str] = []
    rows: dict[SecretRef, Row] = {}
    for line, cells in _lines(content, complaints):
        complain = _Complaints(line, complaints)
        row = _row(line, cells, tools, complain)
        if row is not None and rows.setdefault(row.ref, row) is not row:
            complain("secret", f"{row.ref} stands in line {rows[row.ref].line} already")
    if not rows and not complaints:
        complaints.append("it names no secret")
    if complaints:
        raise _unusable(*complaints)
    return tuple(rows.values())


def _unusable(*complaints: str) -> BadInput:
    return BadInput("\n".join(("the manifest cannot be used, and nothing was done:", *complaints)))


@dataclass(frozen=True, slots=True)
class _Complaints:
    """Takes down what is wrong with one line."""

    line: int
    told: list[str]

    def __call__(self, column: str, what: str) -> None:
        self.told.append(f"line {self.line}, {column}: {what}")


def _lines(content: bytes, told: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Each line below the first as cells by column, as spreadsheets write them; tells of lines that are none."""
    records = _records(content)
    _, first = next(records, (1, []))
    names = [name.lower() for name in first or ()]
    if complaint := NO_CSV if first is None else _misnamed(names):
        raise _unusable(f"line 1: {complaint}")
    for line, cells in records:
        if cells is None:
            told.append(f"line {line}: {NO_CSV}")
            continue
        if len(cells) > len(names):
            told.append(f"line {line}: it has {len(cells)} cells, and the first line names {len(names)}")
        if any(cells):
            yield line, dict(zip(names, cells, strict=False))


def _records(content: bytes) -> Iterator[tuple[int, list[str] | None]]:
    """The cells of each line, with the number of the line where they begin; None for what is no CSV."""
    try:
        # With the mark that spreadsheets put in front.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _unusable(f"line {line}: it is not in UTF-8; save the file as CSV in UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            yield line, [cell.strip() for cell in next(reader)]
        except csv.Error:
            yield line, None
        except StopIteration:
            return


def _misnamed(names: Sequence[str]) -> str | None:
    """What is wrong with the names of the columns; what stands there is quoted where it can be no key."""
    wanted = f"it has to name the columns {', '.join(NEEDED)}, and may name {' and '.join(COLUMNS[len(NEEDED) :])}"
    if len(names) == 1 and re.search(r"[;\t]", names[0]):
        return f"{wanted}; it has {_quoted(names[0])}: put commas between them"
    complaints = [
        *(f"{name} is missing" for name in NEEDED if name not in names),
        *(f"{_quoted(name)} is none of them" for name in names if name not in COLUMNS),
        *(f"{name} stands there twice" for name in COLUMNS if names.count(name) > 1),
    ]
    return "; ".join((wanted, *dict.fromkeys(complaints))) if complaints else None


def _quoted(name: str) -> str:
    return repr(name) if re.fullmatch(r"[a-z _;-]{1,40}", name) else "another text"


def _row(line: int, cells: dict[str, str], tools: Tools, complain: _Complaints) -> Row | None:
    def cell(name: str, parse: Callable[[str], T], wanted: str) -> T | None:
        text = cells.get(name, "")
        if not text and name not in NEEDED:
            return None
        try:
            return parse(text)
        except ValueError:
            complain(name, f"not {wanted}")
            return None

    ref = cell("secret", SecretRef.parse, "VAULT/SECRET, for example kv-orders/storage-key")
    if ref is not None and ref.vault not in tools.vaults:
        complain("secret", f"{ref.vault} is not one of the vaults in ROTATION_VAULTS; add it there first")
    account = cell("resource-id", lambda text: AccountId.parse(text.removesuffix("/")), "the resource id of an account")
    form = cell("format", Format, f"one of {', '.join(Format)}")
    validity = cell("validity-days", _days, f"a number of days from 1 to {MAX_VALIDITY_DAYS}")
    if account is not None:
        _check_account(account, form, tools, complain)
    if ref is None or account is None:
        return None
    return Row(line, ref, account, form, validity)


def _check_account(account: AccountId, form: Format | None, tools: Tools, complain: _Complaints) -> None:
    try:
        formats = tools.providers.for_type(account.resource_type).formats
    except RotationError as unknown:
        complain("resource-id", str(unknown))
        return
    if not tools.limits.allow(account):
        complain("resource-id", f"{account.name} is outside of ROTATION_ACCOUNTS; add it there first")
    if form is not None and form not in formats:
        complain("format", f"{account.resource_type} has only {', '.join(sorted(formats))}")


def _days(text: str) -> timedelta:
    days = int(text) if text.isascii() and text.isdecimal() else 0
    if not 1 <= days <= MAX_VALIDITY_DAYS:
        raise ValueError(text)
    return timedelta(days=days)
