"""Published values: which key is in them, and how another one is put there."""

import json

import pytest

from rotation.formats import recognise, rekey
from rotation.model import Format, Sensitive

OLD, NEW = "b2xk" * 8 + "==", "bmV3" * 8 + "=="
"""Made like keys, and of the form that Azure gives them."""

STRING = "DefaultEndpointsProtocol=https;AccountName=stgorders;AccountKey={};EndpointSuffix=core.windows.net"
SIGNALS = "Endpoint=https://wps-orders.webpubsub.azure.com;AccessKey={};Version=1.0;"
OBJECT = '{{"account":"orders","endpoint":"https://orders.westeurope.batch.azure.com","key":"{}"}}'
PRETTY = '{{\n  "key" : "{}",\n  "account": "Orders",\n  "limit": 1.10,\n  "big": 1e400\n}}\n'

VALUES: dict[str, tuple[str, Format, str | None]] = {
    "a bare key": ("{}", Format.KEY, None),
    "a storage connection string": (STRING, Format.CONNECTION_STRING, "stgorders"),
    "a web pubsub connection string": (SIGNALS, Format.CONNECTION_STRING, "wps-orders.webpubsub.azure.com"),
    "fields in another order and case": (
        "accountkey={};ACCOUNTNAME=StgOrders",
        Format.CONNECTION_STRING,
        "stgorders",
    ),
    "blanks around fields": (" AccountName = a ; AccountKey = {} ;x=y", Format.CONNECTION_STRING, "a"),
    "a line break at the end": (STRING + "\n", Format.CONNECTION_STRING, "stgorders"),
    "an endpoint that is none": ("Endpoint=http://[;AccessKey={}", Format.CONNECTION_STRING, None),
    "a connection string that names nobody": ("AccountKey={}", Format.CONNECTION_STRING, None),
    "an object": (OBJECT, Format.JSON, "orders"),
    "an object as a person writes it": (PRETTY, Format.JSON, "orders"),
    "an object of a key alone": ('{{"key":"{}"}}', Format.JSON, None),
    "an object with another key deeper inside": (
        '{{"other":{{"key":"' + OLD + '"}},"key":"{}","more":{{"key":"x"}}}}',
        Format.JSON,
        None,
    ),
    "an object that mentions a key in a text": (r'{{"note":"\"key\":\"x\"","key":"{}"}}', Format.JSON, None),
}


@pytest.mark.parametrize(("text", "form", "owner"), VALUES.values(), ids=VALUES.keys())
def test_a_value_is_recognised(text: str, form: Format, owner: str | None) -> None:
    """The shape tells the format, the key, and whose the value says it is."""
    found = recognise(Sensitive(text.format(OLD)))

    assert (found.format, found.key, found.owner) == (form, Sensitive(OLD), owner)


@pytest.mark.parametrize("text", [text for text, _, _ in VALUES.values()], ids=VALUES.keys())
def test_only_the_key_changes(text: str) -> None:
    """S3: all else stays to the last character: fields, order, blanks, and how a number is written."""
    assert rekey(Sensitive(text.format(OLD)), Sensitive(NEW)) == Sensitive(text.format(NEW))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "null",
            "[]",
            '"key"',
            "{}",
            '{"key":null}',
            '{"key":{"key":"x"}}',
            '{"Key":"x"}',
            "{",
            '{"key":"x"',
        ),
        *("SharedAccessSignature=sv=2024;BlobEndpoint=https://x", "AccountName=a", "NotTheAccountKey=x", "[" * 100_000),
        "AccountKey=two words",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_has_no_other_shape_is_a_bare_key(text: str) -> None:
    """Nothing is too strange to be recognised; whether it is a key of the account is for the account to say."""
    found = recognise(Sensitive(text))

    assert (found.format, found.key) == (Format.KEY, Sensitive(text))
    assert rekey(Sensitive(text), Sensitive(NEW)) == Sensitive(NEW)


def test_of_a_field_given_twice_the_last_one_counts() -> None:
    """As for the clients that read it."""
    text = Sensitive(f"AccountKey=first;AccountName=a;AccountKey={OLD}")

    assert recognise(text).key == Sensitive(OLD)
    assert rekey(text, Sensitive(NEW)) == Sensitive(f"AccountKey=first;AccountName=a;AccountKey={NEW}")


def test_of_a_member_given_twice_the_last_one_counts() -> None:
    """As for every usual reader of JSON."""
    text = Sensitive(f'{{"key":"first","key":"{OLD}"}}')

    assert recognise(text).key == Sensitive(OLD)
    assert rekey(text, Sensitive(NEW)) == Sensitive(f'{{"key":"first","key":"{NEW}"}}')


def test_a_key_is_written_into_json_as_json_needs_it() -> None:
    """No key of Azure's has a quotation mark, and none may end the text it is put into."""
    odd = 'a"b\\c'
    rekeyed = rekey(Sensitive(OBJECT.format(OLD)), Sensitive(odd))

    assert json.loads(rekeyed.reveal())["key"] == odd
    assert recognise(rekeyed).key == Sensitive(odd)


def test_a_key_with_signs_of_regular_expressions_is_put_in_as_it_is() -> None:
    """A group number in a replacement would mean something else."""
    assert rekey(Sensitive(STRING.format(OLD)), Sensitive(r"\1\g<0>")) == Sensitive(STRING.format(r"\1\g<0>"))


LONG = 500_000
SHAPES = {
    "space behind a sign": "AccountKey=" + LONG * " " + "x y",
    "space before a sign": ";AccountKey" + LONG * " " + "x",
    "nothing but separators": LONG * ";",
    "one object in another": '{"key": ' * (LONG // 8),
    "many objects": '{"key": "' + OLD + '", "more": [' + ", ".join(['{"key": ""}'] * (LONG // 13)) + "]}",
    "one name many times": "{" + ", ".join(['"key": ""'] * (LONG // 11)) + "}",
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
def test_a_value_takes_no_longer_than_its_length(text: str) -> None:
    """Where the time grew with the square of it, one value would keep all accounts waiting, and leases run out.

    These are twenty times as long as Key Vault takes them: by the square they would take many minutes.
    """
    assert OLD in rekey(Sensitive(text), Sensitive(OLD)).reveal()
    assert recognise(Sensitive(text)).format in Format
