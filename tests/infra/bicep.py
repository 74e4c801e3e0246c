"""Reads Bicep as far as tests look into it; whether it is right is told by the checker and the compiler."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
FILES = sorted(INFRA.rglob("*.bicep"))

_PARSER = Parser(Language(tree_sitter_bicep.language()))


@dataclass(frozen=True, slots=True)
class Module:
    """A use of another file."""

    path: Path
    given: Mapping[str, str]
    """The expressions for its parameters."""
    when: str | None
    """The condition under which it is deployed."""
    scope: str | None
    waits: list[str]
    """The symbols that it depends on, beside those in its expressions."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource that is made."""

    symbol: str
    type: str
    when: str | None
    """The condition under which it is made."""
    body: Any


class File:
    """One Bicep file."""

    def __init__(self, path: Path) -> None:
        """Read and parse it."""
        self.path = path
        self.text = path.read_text()
        self.root = _PARSER.parse(self.text.encode()).root_node

    @property
    def parameters(self) -> Mapping[str, str | None]:
        """The expression of each default; None for a parameter that must be given."""
        return dict(self._declared("parameter_declaration"))

    @property
    def scope(self) -> str:
        """What it is deployed to."""
        found = re.search(r"^targetScope = '(\w+)'$", self.text, re.MULTILINE)
        return found[1] if found else "resourceGroup"

    @property
    def allowed(self) -> Mapping[str, Any]:
        """The values of each parameter that takes no others."""
        return {
            name: ast.literal_eval(values)
            for values, name in re.findall(r"@allowed\((\[.*?\])\)(?:\n@.*)*\nparam (\w+)", self.text, re.DOTALL)
        }

    @property
    def outputs(self) -> Mapping[str, str]:
        """The expression of each output."""
        return {name: told or "" for name, told in self._declared("output_declaration")}

    @property
    def variables(self) -> Mapping[str, Any]:
        """The value of each variable, where it is written down; else its expression."""
        return {
            text(node.named_children[0]): value(node.named_children[-1]) for node in self._of("variable_declaration")
        }

    @property
    def modules(self) -> Mapping[str, Module]:
        """The modules by their symbols."""
        found = {}
        for node in self._of("module_declaration"):
            symbol, path = node.named_children[0], value(node.named_children[1])
            says = dict(properties(body(node)))
            found[text(symbol)] = Module(
                (self.path.parent / path).resolve(),
                {name: line(child) for name, child in properties(says["params"])},
                condition(node),
                line(says["scope"]) if "scope" in says else None,
                value(says["dependsOn"]) if "dependsOn" in says else [],
            )
        return found

    @property
    def resources(self) -> list[Resource]:
        """Every resource that is made, children in it included."""
        return [
            Resource(
                text(node.named_children[0]),
                value(node.named_children[1]).split("@")[0],
                condition(node),
                value(body(node)),
            )
            for node in self._of("resource_declaration")
            if not any(text(child) == "existing" for child in node.children)
        ]

    def made(self, kind: str) -> list[Any]:
        """The bodies of the resources of a type, which for a child is its last part."""
        return [resource.body for resource in self.resources if resource.type == kind]

    def _of(self, kind: str) -> Iterator[Node]:
        return (node for node in walk(self.root) if node.type == kind)

    def _declared(self, kind: str) -> Iterator[tuple[str, str | None]]:
        for node in self._of(kind):
            name, *rest = (child for child in node.named_children if child.type not in ("decorators", "decorator"))
            expressions = [child for child in rest if child.type != "type"]
            yield text(name), text(expressions[-1]) if expressions else None


@cache
def read(name: str) -> File:
    """Read a file of infra/ by its name, without the suffix."""
    return File(INFRA / f"{name}.bicep")


def every() -> list[File]:
    """Every file."""
    return [File(path) for path in FILES]


def text(node: Node) -> str:
    """The source of a node."""
    return (node.text or b"").decode()


def line(node: Node) -> str:
    """The source of a node in one line, however it is broken."""
    return " ".join(text(node).split())


def walk(node: Node) -> Iterator[Node]:
    """A node and all that is in it."""
    yield node
    for child in node.children:
        yield from walk(child)


def body(node: Node) -> Node:
    """The object of a resource or module, in whatever condition or loop it stands."""
    while node.type != "object":
        node = next(child for child in reversed(node.named_children) if child.type in _BODIES)
    return node


def condition(node: Node) -> str | None:
    """What stands after the `if` of a resource or module."""
    return next((line(child.named_children[0])[1:-1] for child in walk(node) if child.type == "if_statement"), None)


_BODIES = ("object", "if_statement", "for_statement")


def properties(node: Node) -> Iterator[tuple[str, Node]]:
    """The properties of an object, each with its value."""
    for child in node.named_children:
        if child.type == "object_property" and child.named_children[0].type in ("identifier", "string"):
            yield str(value(child.named_children[0], name=True)), child.named_children[-1]


def value(node: Node, *, name: bool = False) -> Any:
    """What is written down as Python has it; for anything that has to be computed its source."""
    match node.type:
        case "object":
            return {key: value(child) for key, child in properties(node)}
        case "array":
            return [value(child) for child in node.named_children if child.type != "comment"]
        case "string" if all(child.type == "string_content" for child in node.named_children):
            return "".join(map(text, node.named_children))
        case "boolean" | "number":
            return json.loads(text(node))
        case "identifier" if name:
            return text(node)
    return text(node)
