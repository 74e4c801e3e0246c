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
