"""No key that ever existed is in anything that was printed."""

import json
from urllib.parse import quote

import pytest

from simulator.client import ControlClient
from tests.surface.leaks import leaked


def test_nothing_that_the_tests_printed_holds_a_key(simulator: ControlClient, printed: str) -> None:
    """Output, logs and failures of every test before this one, against every key the simulator ever made."""
    keys = simulator.keys()

    assert keys
    assert [] == leaked(printed, keys)


@pytest.mark.parametrize("form", [str, quote, json.dumps, lambda key: f"AccountKey={key};", lambda key: quote(key, "")])
def test_the_search_finds_a_key_in_every_form(simulator: ControlClient, form: object) -> None:
    """A search that finds nothing must be able to find something."""
    assert callable(form)
    keys = simulator.keys()

    assert [1] == leaked(f"before {form(keys[1])} after", keys)
