"""Runs as much of Kusto as the queries of alerts and workbook are written in, over the rows of a log."""

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from textwrap import dedent
from typing import Any, Self

Row = dict[str, Any]
Evaluate = Callable[[str, Row], Any]


class Dynamic:
    """A value of JSON; what is not there is null, however deep it is looked for, and compares as false."""

    def __init__(self, value: Any) -> None:
        """Take what `json` has read."""
        self.value = value

    def __getattr__(self, name: str) -> Self:
        """A member."""
        return self[name]

    def __getitem__(self, key: str | int) -> Self:
        """A member or an element."""
        try:
            return type(self)(self.value[key])
        except (KeyError, IndexError, TypeError):
            return type(self)(None)

    def __lt__(self, _: object) -> bool:
        """Nothing is known of null; what is not null has been turned into something else before."""
        return False

    __gt__ = __lt__


_LET = re.compile(r"let (?P<name>\w+) = toscalar\(\n(?P<query>.+?)\n\);\n", re.DOTALL)


def run(query: str, rows: Iterable[Row], now: datetime) -> list[Row]:
    """The rows that a query answers with when it is asked at `now`."""
    found = list(rows)
    query = re.sub(r"^\s*//.*\n", "", query, flags=re.MULTILINE)
    functions = {**_FUNCTIONS, "ago": lambda span: now - span, "now": lambda: now}
    while let := _LET.match(query):
        ((functions[let["name"]],),) = (row.values() for row in run(dedent(let["query"]), found, now))
        query = query[let.end() :]
    source, *steps = (step.strip() for step in query.split("\n| "))
    assert "traces" == source

    def evaluate(expression: str, row: Row) -> Any:
        return eval(_python(expression), {"__builtins__": {}, **functions, **row})  # noqa: S307  our own queries

    for step in steps:
        name, _, rest = step.partition(" ")
        found = _OPERATORS[name](rest, found, evaluate)
    return found


def _where(condition: str, rows: list[Row], evaluate: Evaluate) -> list[Row]:
    return [row for row in rows if evaluate(condition, row)]


def _extend(columns: str, rows: list[Row], evaluate: Evaluate) -> list[Row]:
    return [{**row, **{name: evaluate(told, row) for name, told in _columns(columns)}} for row in rows]


def _project(columns: str, rows: list[Row], evaluate: Evaluate) -> list[Row]:
    return [{name: evaluate(told, row) for name, told in _columns(columns)} for row in rows]


def _summarize(told: str, rows: list[Row], evaluate: Evaluate) -> list[Row]:
    aggregates, _, by = told.partition(" by ")
    keys = dict(_columns(by))
    # Without keys there is one group, though there be no row.
    groups: dict[tuple[Any, ...], list[Row]] = {} if keys else {(): []}
    for row in rows:
        groups.setdefault(tuple(evaluate(key, row) for key in keys.values()), []).append(row)
    return [
        {**dict(zip(keys, group, strict=True)), **_aggregate(aggregates, within, evaluate)}
        for group, within in groups.items()
    ]


def _aggregate(told: str, rows: list[Row], evaluate: Evaluate) -> Row:
    found: Row = {}
    for name, expression in _columns(told):
        call = re.fullmatch(r"(\w+)\((.*)\)", expression)
        assert call, expression
        over, *kept = [column for _, column in _columns(call[2])] or [""]
        match call[1]:
            case "count":
                found[name] = len(rows)
            case "max":
                known = (evaluate(over, row) for row in rows)
                found[name] = max((value for value in known if not _is_null(value)), default=None)
            case "arg_max":
                last = max(rows, key=lambda row: evaluate(over, row))
                found |= {column: last[column] for column in (over, *kept)}
            case other:
                raise NotImplementedError(other)
    return found


def _expand(told: str, rows: list[Row], evaluate: Evaluate) -> list[Row]:
    found = re.fullmatch(r"(\w+) = (.+?)(?: to typeof\((\w+)\))?", told)
    assert found, told
    name, expression, kind = found.groups()
    turn = {None: Dynamic, "string": _to_string}[kind]
    return [{**row, name: turn(each)} for row in rows for each in _plain(evaluate(expression, row)) or ()]


def _order(told: str, rows: list[Row], evaluate: Evaluate) -> list[Row]:
    # Each sort keeps the order of equals.
    for key in reversed(told.removeprefix("by ").split(", ")):
        expression, way = key.split()
        rows = sorted(rows, key=partial(_rank, expression, evaluate), reverse=way == "desc")
    return rows


def _rank(expression: str, evaluate: Evaluate, row: Row) -> tuple[bool, Any]:
    value = evaluate(expression, row)
    # Null is less than anything.
    return (False, None) if _is_null(value) else (True, value)


_OPERATORS: dict[str, Callable[[str, list[Row], Evaluate], list[Row]]] = {
    "where": _where,
    "extend": _extend,
    "project": _project,
    "summarize": _summarize,
    "mv-expand": _expand,
    "order": _order,
    "take": lambda number, rows, _: rows[: int(number)],
}


def _columns(text: str) -> list[tuple[str, str]]:
    """The columns that are made, by name; commas within brackets separate none."""
    parts, depth = [""], 0
    for sign in text:
        depth += (sign in "([") - (sign in ")]")
        if sign == "," and not depth:
            parts.append("")
        else:
            parts[-1] += sign
    named = (re.fullmatch(r"\s*(?:(\w+) = )?(.*?)\s*", part, re.DOTALL) for part in parts)
    return [(each[1] or _name(each[2]), each[2]) for each in named if each and each[2]]


def _name(expression: str) -> str:
    # Kusto calls what is computed after the function and its column, except where it only rounds.
    call = re.match(r"(\w+)\((\w*)", expression)
    return expression if not call else call[2] if call[1] == "bin" else f"{call[1]}_{call[2]}"


def _python(expression: str) -> str:
    turned = re.sub(r"(\w+(?:\([\w.]+\))?) has (\"[^\"]*\")", r"(\2 in \1)", expression)
    turned = re.sub(r"(\w+) startswith (\"[^\"]*\")", r"\1.startswith(\2)", turned)
    return re.sub(r"\b(\d+)([dhm])\b", lambda span: f"{_SPANS[span[2]]}({span[1]})", turned)


_SPANS = {"d": "days", "h": "hours", "m": "minutes"}


def _to_string(value: Any) -> str:
    told = _plain(value)
    return "" if told is None else told if isinstance(told, str) else json.dumps(told)


def _case(*branches: Any) -> Any:
    *pairs, otherwise = branches
    return next((then for when, then in zip(pairs[::2], pairs[1::2], strict=True) if when), otherwise)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Dynamic) else value


def _is_null(value: Any) -> bool:
    return _plain(value) is None


def _to_time(value: Dynamic) -> Any:
    told = value.value
    return datetime.fromisoformat(told) if isinstance(told, str) else value if told is None else told


def _bin(at: datetime, span: timedelta) -> datetime:
    return at - (at - datetime.min.replace(tzinfo=UTC)) % span


_FUNCTIONS: dict[str, Any] = {
    "parse_json": lambda text: Dynamic(json.loads(text) if text.startswith("{") else None),
    "tostring": _to_string,
    "tolower": str.lower,
    "toint": lambda value: value.value,
    "todatetime": _to_time,
    "isempty": lambda text: not text,
    "isnotempty": bool,
    "isnull": _is_null,
    "isnotnull": lambda value: not _is_null(value),
    "iff": lambda when, then, otherwise: then if when else otherwise,
    "case": _case,
    "split": lambda text, by: Dynamic(text.split(by)),
    "array_length": lambda value: None if _is_null(value) else len(value.value),
    "pack_array": lambda *values: list(values),
    "bag_pack": lambda *pairs: dict(zip(pairs[::2], map(_plain, pairs[1::2]), strict=True)),
    "bin": _bin,
    "datetime_diff": lambda unit, later, earlier: {"day": (later.date() - earlier.date()).days}[unit],
    "days": lambda number: timedelta(days=number),
    "hours": lambda number: timedelta(hours=number),
    "minutes": lambda number: timedelta(minutes=number),
}
