"""Reads the pages as far as tests look into them."""

import re

from tests.infra.bicep import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def blocks(text: str) -> list[str]:
    """The commands in a text, one for each prompt, without it."""
    shown = re.findall(r"^( *)```console\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL)
    return [command for _, block in shown for command in re.split(r"^ *\$ ", block, flags=re.MULTILINE)[1:]]


def inline(text: str) -> list[str]:
    """What stands between backticks in a line."""
    return re.findall(r"`([^`\n]+)`", text)
