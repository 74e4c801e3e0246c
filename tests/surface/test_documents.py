"""What the documents point at exists."""

import re
from pathlib import Path

import pytest

from rotation.settings import SETTINGS

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every file that a page links to is there."""
    assert [] == [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]


def test_the_front_page_links_to_every_page_for_users() -> None:
    """A page that nobody links to is not read."""
    linked = {(ROOT / link).resolve() for link in LINK.findall((ROOT / "README.md").read_text())}
    pages = set((ROOT / "docs").glob("*.md"))

    assert pages
    assert set() == pages - linked


def test_every_setting_is_documented_with_its_default() -> None:
    """docs/settings.md speaks of each setting and its default, and of none of ours that does not exist."""
    page = (ROOT / "docs/settings.md").read_text()
    known = {setting.name for setting in SETTINGS}

    assert set() == {name for name in known if f"`{name}`" not in page}
    assert set() == set(re.findall(r"`(ROTATION_\w+)`", page)) - known
    assert [] == [s.name for s in SETTINGS if s.default and f"`{s.default}`" not in page]


@pytest.mark.parametrize("promise", [f"S{number}" for number in range(1, 9)])
def test_every_promise_is_made_tried_and_named_by_its_tests(promise: str) -> None:
    """Under one name in what users read, in the page on the proof, and in the files that the page points to."""
    proof = (ROOT / "docs/proof.md").read_text()
    (made,) = re.findall(rf"^- \*\*({promise} [^*]+)\*\*", (ROOT / "docs/concepts.md").read_text(), re.MULTILINE)
    (files,) = re.findall(rf"^\| {made} \|.*\| (.+) \|$", proof, re.MULTILINE)

    paths = re.findall(r"`(tests/[\w/]+\.py)`", files)
    assert paths
    assert [] == [path for path in paths if not re.search(rf"\b{promise}\b|_{promise.lower()}_", _text(path))]


def _text(path: str) -> str:
    return (ROOT / path).read_text()
