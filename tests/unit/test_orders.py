"""What may be asked for over HTTP, and every complaint about what may not."""

import json
from base64 import b64encode, urlsafe_b64encode
from datetime import timedelta
from secrets import token_bytes
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rotation.errors import BadInput
from rotation.model import Role, SecretRef
from rotation.orders import MAX_BODY, MAX_REASON, MAX_STRANGE, Order, Question, read_order, read_question
from rotation.quoting import HIDDEN
from tests.surface.leaks import leaked

REF = SecretRef("kv-one", "secret-0")
KEY = "kEy0+/" * 14 + "kE=="
SPACED = "kEy0kEy7 kEy0/kEy7k" * 4 + "kE=="
"""What becomes of a key in the query of an URL, where nobody has encoded its +."""
TOKEN = urlsafe_b64encode(b'{"typ": "JWT"}').decode() + ".e30.x"
"""The beginning that every token has; each part of it is short."""


def order(**body: object) -> Order:
    """Read an order for one secret."""
    return read_order("kv-one", "secret-0", {}, json.dumps(body).encode())


def test_a_body_of_blanks_is_no_json() -> None:
    """Nothing is a body that is left out; a blank is one that went wrong on its way."""
    with pytest.raises(BadInput, match=r"^the body is not JSON$"):
        read_order("kv-orders", "storage-key", {}, b" \n")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"reason": null}'])
def test_an_order_needs_no_body(body: bytes) -> None:
    """The address alone asks for what is due."""
    assert Order(ref=REF) == read_order("KV-One", "Secret-0", {"code": "x"}, body)


@pytest.mark.parametrize(
    "pasted",
    [
        SPACED,
        KEY,
        "kEy0" * 21,
        quote("kEy+" * 21 + "Q=="),
        quote(quote("kEy/" * 21 + "Q==", safe="")),
        "kE7-_" * 17,
        TOKEN.partition("=")[0],
    ],
)
def test_s6_what_looks_like_a_key_is_not_kept_of_a_reason(pasted: str) -> None:
    """It is logged, and an emergency is not held up for it; the words around it are read afterwards."""
    kept = order(reason=f"found {pasted} in a log").reason

    assert kept == f"found {HIDDEN} in a log"


def test_what_stands_behind_a_key_is_kept_of_a_reason() -> None:
    """Also a link, but for one with a piece of the key."""
    link = "https://github.com/contoso/app/issues/4711?x=1"
    for pasted in (KEY, SPACED, f"{SPACED} or https://example.com/?sig=kEy7kEy0/kEy"):
        assert order(reason=f"leaked {pasted} see {link}").reason == f"leaked {HIDDEN} see {link}"


def test_s6_a_key_is_told_from_words_whatever_an_url_made_of_it() -> None:
    """A thousand keys as accounts have them."""
    for _ in range(1000):
        key = b64encode(token_bytes(64)).decode()
        kept = order(reason=f"found {key.replace('+', ' ')} in a log").reason or ""
        assert kept.startswith("found ")
        assert HIDDEN in kept
        assert [] == leaked(kept, [key, key.replace("+", " ")])


@given(
    words=st.lists(
        st.sampled_from(["storagekey", "leaked", "CHG0031337", "SRE", "OPS", "by", "kEy0kEy7kE", "a", "", "Ab+/9x"])
        | st.text(max_size=12)
    ),
    space=st.sampled_from([" ", "%20", "%2520", "+"]),
)
@example(words=["storagekey", "INC0012345", "PROD", "by", "storagekey"], space="%20")
def test_whatever_somebody_writes_is_a_reason_or_a_complaint(words: list[str], space: str) -> None:
    """No emergency ends as a defect."""
    try:
        answered: object = order(reason=space.join(words)).reason
    except Exception as raised:  # noqa: BLE001  a defect may be of any kind
        answered = raised
    assert isinstance(answered, (str, BadInput))


@pytest.mark.parametrize(
    "reason",
    [
        "INC0012345 Key of PROD pasted to Slack by Jane",
        "CHG0031337 Quarterly rotation by Ops Team in EU West",
        "leaked 20261122 by Bob Smith of Team SRE in Azure DevOps",
        "commit 3b54a67 in GitHub repo Contoso Orders has the key, found by GitGuardian",
        "found in https://github.com/contoso/orders/actions/runs/1234567890",
        "https://dev.azure.com/contoso/orders/_workitems/edit/123456",
        "see /subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-orders",
    ],
)
def test_the_words_and_links_of_tickets_are_kept(reason: str) -> None:
    """The log of an emergency is read afterwards."""
    assert order(reason=reason).reason == reason


def test_everything_that_may_be_asked_for_is_read() -> None:
    """Each member arrives where it belongs."""
    body = {"compromised": "both", "grace": "PT0S", "dry_run": True, "reason": "a leak", "request_id": "incident-7"}

    assert order(**body) == Order(
        ref=REF,
        compromised=Role.BOTH,
        grace=timedelta(),
        dry_run=True,
        reason="a leak",
        request_id="incident-7",
    )
    assert Order(ref=REF, force=True) == order(force=True)


@pytest.mark.parametrize(
    ("body", "members"),
    [
        ({"compromised": "all"}, ["compromised"]),
        ({"compromised": "active", "grace": "soon"}, ["grace"]),
        ({"compromised": "active", "grace": 5}, ["grace"]),
        ({"compromised": "idle", "grace": "PT5M"}, ["grace"]),
        ({"grace": "PT5M"}, ["grace"]),
        ({"compromised": "active", "force": True}, ["force"]),
        ({"force": "true"}, ["force"]),
        ({"dry_run": 1}, ["dry_run"]),
        ({"force": True, "dry_run": None}, ["dry_run"]),
        ({"reason": "two\nlines"}, ["reason"]),
        ({"reason": "x" * (MAX_REASON + 1)}, ["reason"]),
        ({"request_id": "a b"}, ["request_id"]),
        ({"dryrun": True}, ["'dryrun'"]),
        ({"secret": "kv-two/other", "grace": "soon"}, ["'secret'", "grace", "grace"]),
        ({"compromised": 1, "grace": 1, "force": 1, "reason": 1}, ["compromised", "force", "grace", "reason"]),
    ],
)
def test_every_complaint_is_told(body: dict[str, object], members: list[str]) -> None:
    """One line for each member that is wrong, and none for the others."""
    with pytest.raises(BadInput) as caught:
        order(**body)

    assert sorted(line.partition(":")[0] for line in str(caught.value).splitlines()) == members


@pytest.mark.parametrize(
    ("vault", "secret"), [("", ""), ("kv-one", "a/b"), ("kv one", "secret"), ("kv-one", "\u017fecret")]
)
def test_an_address_that_names_no_secret_is_a_complaint(vault: str, secret: str) -> None:
    """It is told together with what is wrong in the body."""
    with pytest.raises(BadInput) as caught:
        read_order(vault, secret, {}, b'{"force": 1}')

    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == ["secret", "force"]


@pytest.mark.parametrize("astray", ["dry_run", "compromised", "x " * 50])
def test_what_stands_in_the_query_is_a_complaint(astray: str) -> None:
    """Who says dry_run there must not be taken for somebody who does not say it."""
    with pytest.raises(BadInput, match=f"^{astray[:40]!r}: the query is not read"):
        read_order("kv-one", "secret-0", {astray: "true", "code": "x", "clientId": "default"}, b"")


@pytest.mark.parametrize("key", [KEY, SPACED], ids=["as it is", "as an URL changes it"])
@pytest.mark.parametrize(
    ("vault", "secret", "query", "body"),
    [
        ("kv-one", "{}", {}, {}),
        ("{}", "secret-0", {}, {}),
        ("kv-one", "secret-0", {"{}": ""}, {}),
        ("kv-one", "secret-0", {"key={}": ""}, {}),
        ("kv-one", "secret-0", {}, {"{}": 1}),
        ("kv-one", "secret-0", {}, {"AccountKey={}": 1}),
        ("kv-one", "secret-0", {}, {"compromised": "{}"}),
        ("kv-one", "secret-0", {}, {"compromised": "active", "grace": "{}"}),
        ("kv-one", "secret-0", {}, {"request_id": "{}"}),
    ],
)
def test_a_key_that_was_pasted_is_not_said_again(
    vault: str, secret: str, query: dict[str, str], body: dict[str, object], key: str
) -> None:
    """S6: the complaint tells its place."""
    pasted = {name.format(key): value for name, value in query.items()}
    content = json.dumps(body).replace("{}", key).encode()
    with pytest.raises(BadInput) as caught:
        read_order(vault.format(key), secret.format(key), pasted, content)

    assert not told_again(key, caught.value)


@pytest.mark.parametrize("key", [KEY, SPACED], ids=["as it is", "as an URL changes it"])
def test_a_key_that_was_pasted_twice_is_not_said_again(key: str) -> None:
    """S6: as the name of a member, which stands there as often."""
    with pytest.raises(BadInput, match="stands there twice") as caught:
        read_order("kv-one", "secret-0", {}, f'{{"{key}": 1, "{key}": 2}}'.encode())

    assert not told_again(key, caught.value)


@pytest.mark.parametrize("key", [KEY, SPACED], ids=["as it is", "as an URL changes it"])
@pytest.mark.parametrize("member", ["vault", "secret", "deep", "{}"])
def test_a_key_in_a_question_is_not_said_again(member: str, key: str) -> None:
    """S6: the complaint tells its place."""
    with pytest.raises(BadInput) as caught:
        read_question({member.format(key): key})

    assert not told_again(key, caught.value)


def told_again(key: str, complaint: BadInput) -> bool:
    """Whether a complaint holds a part of a key, by which everybody else knows it too."""
    return key[:16] in str(complaint) or key[-16:] in str(complaint) or bool(leaked(str(complaint), [key]))


def test_not_every_complaint_about_a_flood_is_told() -> None:
    """An answer is not much longer than what it answers."""
    with pytest.raises(BadInput) as caught:
        read_order("kv-one", "secret-0", {f"a{n}": "" for n in range(1000)}, b"")

    assert MAX_STRANGE == len(str(caught.value).splitlines())


@pytest.mark.parametrize("more", [0, 1])
def test_a_body_may_have_so_many_bytes_and_no_more(more: int) -> None:
    """Nothing that is asked for needs them, and reading them would hold up everybody else."""
    body = b'{"dry_run": true}'.ljust(MAX_BODY + more)
    if not more:
        assert read_order("kv-one", "secret-0", {}, body).dry_run
    else:
        with pytest.raises(BadInput, match=r"^the body has more than 64 KiB$"):
            read_order("kv-one", "secret-0", {}, body)


def test_a_member_that_stands_there_twice_is_a_complaint() -> None:
    """Whichever counted, half of the readers would have meant the other."""
    with pytest.raises(BadInput, match=r"^'dry_run': it stands there twice$"):
        read_order("kv-one", "secret-0", {}, b'{"dry_run": true, "dry_run": false}')


def test_a_question_is_read() -> None:
    """Case does not matter, and the function key that stands beside is not ours to read."""
    assert Question() == read_question({"code": "x"})
    assert Question(vault="kv-one", name="s", deep=True) == read_question(
        {"vault": "KV-One", "secret": "S", "deep": "True"}
    )


@pytest.mark.parametrize("query", [{"deep": "1"}, {"vault": "kv/one"}, {"secret": "a b"}, {"colour": "red"}])
def test_a_question_that_makes_no_sense_is_refused(query: dict[str, str]) -> None:
    """A name that is misspelt must not turn into an answer about everything."""
    with pytest.raises(BadInput, match=next(iter(query))):
        read_question(query)


def test_a_question_is_about_what_it_names() -> None:
    """A vault, a name, both, or everything."""
    assert Question().matches(REF)
    assert Question(vault="kv-one").matches(REF)
    assert Question(name="secret-0").matches(REF)
    assert not Question(vault="kv-two", name="secret-0").matches(REF)
    assert not Question(vault="kv-one", name="secret-1").matches(REF)
