"""What the documents point at exists."""

import re
from pathlib import Path

import pytest

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
