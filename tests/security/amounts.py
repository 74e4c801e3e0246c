"""How much the tests of this folder try: what fits into a minute of CI, times `SECURITY_TIMES`."""

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("SECURITY_TIMES", "1"))


def tries(number: int) -> settings:
    """Settings that draw so many examples; a shared machine is slow, and fixtures serve all of them."""
    return settings(
        max_examples=number * TIMES,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
