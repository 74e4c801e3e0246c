"""Ends a run of the tests at the first assertion that fails, and says whose it was; a pytest plugin.

A test that cannot be imported or set up, one that hangs, and one that meets an exception which nobody foresaw have
noticed nothing: they might fail for any other reason as well.
"""

import re

import pytest

NOTICED = re.compile(r"^!+ Interrupted: noticed by (.+) !+$", re.MULTILINE)


def pytest_exception_interact(
    node: pytest.Item | pytest.Collector,
    call: pytest.CallInfo[object],
    report: pytest.CollectReport | pytest.TestReport,
) -> None:
    """Stop when what was raised is a failed assertion of a test, or of what looks at the world after it."""
    if (
        call.when in ("call", "teardown")
        and isinstance(report, pytest.TestReport)
        and call.excinfo
        and asserted(call.excinfo.value)
    ):
        node.session.shouldstop = f"noticed by {node.nodeid}"


def asserted(raised: BaseException) -> bool:
    """Whether an assertion failed, or the product said that something is wrong where a test knows that nothing is.

    It may be one of several that a property found, and is one of pytest's own where an error was expected in vain.
    """
    if isinstance(raised, BaseExceptionGroup):
        return any(asserted(one) for one in raised.exceptions)
    if isinstance(raised, pytest.fail.Exception):
        return not str(raised).startswith("Timeout")  # of pytest-timeout
    # By name, as this must not import what is broken.
    return isinstance(raised, AssertionError) or any(kind.__name__ == "RotationError" for kind in type(raised).__mro__)
