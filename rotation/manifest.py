"""A list of secrets that are to come under rotation together: a CSV file with one secret on each line."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from rotation.errors import BadInput, RotationError
from rotation.model import AccountId, Format, SecretRef
from rotation.ports import Providers
from rotation.tags import MAX_VALIDITY_DAYS

NEEDED = ("secret", "resource-id")
COLUMNS = (*NEEDED, "format", "validity-days")
"""The names in the first line; the last two columns, and any cell in them, may be left out."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One enrolment that is asked for; what is None is taken from what stands there."""

    line: int
    ref: SecretRef
    account: AccountId
    form: Format | None
    validity: timedelta | None


def read(content: bytes, providers: Providers) -> tuple[Row, ...]:
    """Read a manifest; raises BadInput with every complaint, each with its line.

    No complaint repeats a cell: a key may have slipped into one.
    """
    complaints: list[str] = []
    rows: dict[SecretRef, Row] = {}
    for line, cells in _lines(content):
        complain = _Complaints(line, complaints)
        row = _row(line, cells, providers, complain)
        if row is not None and rows.setdefault(row.ref, row) is not row:
            complain("secret", f"{row.ref} stands in line {rows[row.ref].line} already")
    if not rows and not complaints:
        complaints.append("it names no secret")
    if complaints:
        raise BadInput("\n".join(("the manifest cannot be used, and nothing was done:", *complaints)))
    return tuple(rows.values())


@dataclass(frozen=True, slots=True)
class _Complaints:
    """Takes down what is wrong with one line."""

    line: int
    told: list[str]

    def __call__(self, column: str, what: str) -> None:
        self.told.append(f"line {self.line}, {column}: {what}")


def _lines(content: bytes) -> Sequence[tuple[int, dict[str, str]]]:
    """Each line below the first as cells by column, as spreadsheets write them, mark of the encoding included."""
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        names = [name.strip().lower() for name in next(reader, [])]
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadInput("the manifest is no CSV file in UTF-8") from error
    if not set(NEEDED) <= set(names) <= set(COLUMNS) or len(names) != len(set(names)):
        raise BadInput(
            f"the first line of the manifest has to name the columns {', '.join(NEEDED)}, and may name "
            f"{' and '.join(COLUMNS[len(NEEDED) :])}"
        )
    if long := next((line for line, cells in lines if len(cells) > len(names)), None):
        raise BadInput(f"line {long} of the manifest has more cells than the first line names")
    return [(line, dict(zip(names, cells, strict=False))) for line, cells in lines if any(cells)]


def _row(line: int, cells: dict[str, str], providers: Providers, complain: _Complaints) -> Row | None:
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
    account = cell("resource-id", lambda text: AccountId.parse(text.removesuffix("/")), "the resource id of an account")
    form = cell("format", Format, f"one of {', '.join(Format)}")
    validity = cell("validity-days", _days, f"a number of days from 1 to {MAX_VALIDITY_DAYS}")
    if account is not None:
        try:
            formats = providers.for_type(account.resource_type).formats
        except RotationError as unknown:
            complain("resource-id", str(unknown))
        else:
            if form is not None and form not in formats:
                complain("format", f"{account.resource_type} has only {', '.join(sorted(formats))}")
    if ref is None or account is None:
        return None
    return Row(line, ref, account, form, validity)


def _days(text: str) -> timedelta:
    days = int(text) if text.isascii() and text.isdecimal() else 0
    if not 1 <= days <= MAX_VALIDITY_DAYS:
        raise ValueError(text)
    return timedelta(days=days)
