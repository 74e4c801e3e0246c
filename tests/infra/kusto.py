"""Runs as much of Kusto as the queries of alerts are written in, over the rows of a log."""

import ast
import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from textwrap import dedent
from typing import Any, Self

Row = dict[str, Any]
Evaluate = Callable[[str, Row], Any]


class Dynamic:
    """A value of JSON; what is not there is null, however deep it is looked for."""

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


_LET = re.compile(r"let (?P<name>\w+) = toscalar\(\n(?P<query>.+?)\n\);\n", re.DOTALL)


def run(query: str, rows: Iterable[Row], now: datetime) -> list[Row]:
    """The rows that a query answers with when it is asked at `now`."""
    found = list(rows)
    query = re.sub(r"^\s*//.*\n", "", query, flags=re.MULTILINE)
    functions = {**_FUNCTIONS, "ago": lambda span: now - span}
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


def _summarize(aggregate: str, rows: list[Row], _: Evaluate) -> list[Row]:
    if whole := re.fullmatch(r"max\((\w+)\)", aggregate):
        return [{f"max_{whole[1]}": max((row[whole[1]] for row in rows), default=None)}]
    found = re.fullmatch(r"arg_max\(([\w, ]+)\) by (\w+)", aggregate)
    assert found, aggregate
    kept, key = found[1].split(", "), found[2]
    best: dict[Any, Row] = {}
    for row in rows:
        if row[key] not in best or row[kept[0]] > best[row[key]][kept[0]]:
            best[row[key]] = {name: row[name] for name in (key, *kept)}
    return list(best.values())


_OPERATORS: dict[str, Callable[[str, list[Row], Evaluate], list[Row]]] = {
    "where": _where,
    "extend": _extend,
    "project": _project,
    "summarize": _summarize,
}


def _columns(text: str) -> list[tuple[str, str]]:
    call = ast.parse(f"_({_python(text)})", mode="eval").body
    assert isinstance(call, ast.Call)
    kept = [(ast.unparse(name), ast.unparse(name)) for name in call.args]
    return kept + [(str(made.arg), ast.unparse(made.value)) for made in call.keywords]


def _python(expression: str) -> str:
    turned = re.sub(r"(\w+) has (\"[^\"]*\")", r"(\2 in \1)", expression)
    return re.sub(r"\b(\d+)([hm])\b", lambda span: f"{_SPANS[span[2]]}({span[1]})", turned)


_SPANS = {"h": "hours", "m": "minutes"}


def _to_string(value: Any) -> str:
    told = value.value if isinstance(value, Dynamic) else value
    return "" if told is None else told if isinstance(told, str) else json.dumps(told)


def _case(*branches: Any) -> Any:
    *pairs, otherwise = branches
    return next((then for when, then in zip(pairs[::2], pairs[1::2], strict=True) if when), otherwise)


def _to_time(value: Dynamic) -> datetime:
    # Null is before nothing.
    return datetime.fromisoformat(value.value) if value.value else datetime.max.replace(tzinfo=UTC)


_FUNCTIONS: dict[str, Any] = {
    "parse_json": lambda text: Dynamic(json.loads(text) if text.startswith("{") else None),
    "tostring": _to_string,
    "toint": lambda value: value.value,
    "todatetime": _to_time,
    "isempty": lambda text: not text,
    "isnotempty": bool,
    "isnull": lambda value: value is None,
    "iff": lambda when, then, otherwise: then if when else otherwise,
    "case": _case,
    "hours": lambda number: timedelta(hours=number),
    "minutes": lambda number: timedelta(minutes=number),
}
