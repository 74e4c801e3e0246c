"""docs/openapi.yaml says what the code does: no more, and no less."""

import json
import re
from http import HTTPStatus
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from rotation.errors import BadInput
from rotation.model import Action, Reason, Role, Trigger
from rotation.orders import MAX_REASON, read_order, read_question
from rotation.replies import PROBLEM, STATUS
from tests.functions.test_bindings import BINDINGS
from tests.security.description import PLATFORM, description
from tests.unit.test_errors import NAMED

DESCRIPTION = description()
RAW = DESCRIPTION.raw_schema
SCHEMAS: dict[str, Any] = RAW["components"]["schemas"]
ROOT = Path(__file__).parents[2]
PLACE = ("kv-orders", "orders-storage-key")
VERBS = {"rotate_now": "post", "status": "get"}


def operation(function: str) -> dict[str, Any]:
    """What is said of a function."""
    (found,) = (
        told
        for path in RAW["paths"].values()
        for verb, told in path.items()
        if verb == VERBS[function] and told["operationId"] == function
    )
    return dict(found)


def resolved(told: dict[str, Any]) -> dict[str, Any]:
    """A thing, or what it refers to."""
    while reference := told.get("$ref"):
        told = RAW
        for part in reference.removeprefix("#/").split("/"):
            told = told[part]
    return told


def names(schema: str) -> set[str]:
    """The words of an enumeration."""
    return set(SCHEMAS[schema]["enum"])


def complaints(member: str, value: object) -> list[str]:
    """What the app says of one member of an order."""
    try:
        read_order("kv-one", "secret-0", {}, json.dumps({member: value}).encode())
    except BadInput as bad:
        return str(bad).splitlines()
    return []


def test_it_is_a_valid_description() -> None:
    """OpenAPI 3.1, without a mistake that tools would stumble over."""
    DESCRIPTION.validate()

    assert RAW["openapi"].startswith("3.1.")


def test_routes_and_methods_are_those_of_the_bindings() -> None:
    """Every HTTP function is described at its route, and nothing else is."""
    bound = {
        (f"/{binding['route']}", method.lower(), name, binding["authLevel"])
        for name, bindings in BINDINGS.items()
        for binding in bindings
        if binding["type"] == "httpTrigger"
        for method in binding["methods"]
    }
    described = {
        (path, verb, told["operationId"], "FUNCTION")
        for path, item in RAW["paths"].items()
        for verb, told in item.items()
    }

    assert bound == described
    assert [{"key": []}, {"code": []}] == RAW["security"], "no function is open to everybody"
    assert {"x-functions-key", "code"} == {s["name"] for s in RAW["components"]["securitySchemes"].values()}


def test_the_members_of_the_body_are_those_that_are_read() -> None:
    """The app names all members that it knows when it meets one that it does not."""
    (complaint,) = complaints("no-member", 1)
    known = complaint.rpartition("there is ")[2].split(", ")

    assert set(known) - {"secret"} == SCHEMAS["Order"]["properties"].keys()
    assert {*Role, None} == set(SCHEMAS["Order"]["properties"]["compromised"]["enum"])
    assert MAX_REASON == SCHEMAS["Order"]["properties"]["reason"]["maxLength"]


def test_the_parameters_are_those_that_are_read() -> None:
    """The same for the query of a status."""
    with pytest.raises(BadInput) as caught:
        read_question({"no-parameter": "x"})
    known = str(caught.value).rpartition("there is ")[2].split(", ")

    assert known == [parameter["name"] for parameter in operation("status")["parameters"]]


ORDERS: list[dict[str, Any]] = [
    {},
    {"compromised": None, "grace": None, "reason": None, "request_id": None},
    *({"compromised": role} for role in Role),
    *({"compromised": role, "grace": "PT10M"} for role in Role),
    {"grace": "PT10M"},
    {"compromised": None, "grace": "PT10M"},
    {"compromised": "active", "force": True},
    {"compromised": "active", "force": False},
    {"compromised": "all"},
    *(
        {"compromised": "active", "grace": grace}
        for grace in (
            "PT0S",
            "P2D",
            "P1W",
            "P1DT12H",
            "PT1H1M1S",
            "P9999W",
            "P",
            "PT",
            "P1DT",
            "P1M",
            "1D",
            "PT-1S",
            "",
        )
    ),
    *({flag: value} for flag in ("force", "dry_run") for value in (True, False, "true", 1, None)),
    *({"reason": text} for text in ("x " * 100, "x " * 100 + "x", "x" * 39, "x" * 40, "+/" * 20, "-" * 40, "." * 40)),
    *({"reason": text} for text in ("%2B" * 40, "%252f" * 40, "%20" * 40, "Bearer eyJ0eXAiOiJ", "eyJ0")),
    *({"request_id": text} for text in ("a", "x" * 40, "x" * 41, "", "a b", "a:b", "a:active", ":both", "active", "ä")),
    {"secret": "kv-one/secret-0"},
    {"dryrun": True},
]


@pytest.mark.parametrize("order", ORDERS, ids=json.dumps)
def test_the_app_reads_what_is_described_and_nothing_else(order: dict[str, Any]) -> None:
    """Bodies at both sides of every rule."""
    validator = jsonschema_rs.Draft202012Validator({**SCHEMAS["Order"]})
    try:
        read_order("kv-one", "secret-0", {}, json.dumps(order).encode())
    except BadInput:
        assert not validator.is_valid(order)
    else:
        assert validator.is_valid(order)


def test_every_status_of_the_code_is_described() -> None:
    """What an error becomes, and what docs/functions.md tells of each."""
    page = (ROOT / "docs/functions.md").read_text()
    (rotate_now,) = (section for section in page.split("\n## ") if section.startswith("Rotate now"))
    documented = set(re.findall(r"^\| (\d{3}) \|", rotate_now, re.MULTILINE))

    assert {*documented, *PLATFORM} == operation("rotate_now")["responses"].keys()
    assert {str(status.value) for _, status in STATUS} | {"200"} == documented
    assert operation("status")["responses"].keys() <= operation("rotate_now")["responses"].keys()


@pytest.mark.parametrize("function", VERBS)
def test_what_is_wrong_is_told_as_a_problem_document(function: str) -> None:
    """From 400 on; the platform says nothing."""
    told = {int(status): resolved(answer) for status, answer in operation(function)["responses"].items()}
    kinds = {status: [*answer.get("content", {})] for status, answer in told.items()}

    assert {status: [PROBLEM] for status in kinds if status >= HTTPStatus.BAD_REQUEST} | {401: []} == {
        status: kind for status, kind in kinds.items() if status >= HTTPStatus.BAD_REQUEST
    }


def test_vocabularies_are_those_of_the_code() -> None:
    """A word that a script meets is one that it could have known."""
    assert set(Action) == names("Action")
    assert set(Reason) == names("Reason")
    assert {error.code for error in NAMED} == names("ErrorCode")
    assert set(Trigger) == set(SCHEMAS["Outcome"]["properties"]["trigger"]["enum"])


def test_the_example_of_complaints_is_what_is_told() -> None:
    """In its words, which name what a body may have."""
    told = RAW["components"]["responses"]["BadRequest"]["content"][PROBLEM]["examples"]["complaints"]["value"]
    with pytest.raises(BadInput) as bad:
        read_order(*PLACE, {}, b'{"compromised": "active", "grace": "soon", "dryrun": true}')

    assert str(bad.value) == told["detail"] == "\n".join(told["errors"])


def test_every_example_is_what_it_is_an_example_of() -> None:
    """Of requests and of answers."""
    checked = 0
    for function in VERBS:
        told = operation(function)
        contents = [resolved(answer).get("content", {}) for answer in told["responses"].values()]
        contents.append(told.get("requestBody", {}).get("content", {}))
        for media in (media for content in contents for media in content.values()):
            validator = jsonschema_rs.Draft202012Validator({**media["schema"], "components": RAW["components"]})
            for example in media["examples"].values():
                validator.validate(example["value"])
                checked += 1

    assert checked > 15
