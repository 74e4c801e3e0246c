"""Has stories told that nobody thought of, and knows what never happened in them."""

from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from rotation.rotate import CHANGES
from tests.proof.orders.machine import DELICATE, EveryOrder
from tests.proof.orders.stage import Stage

STEPS = 30


def tell(stage: Stage, examples: int, **how: Any) -> None:
    """Tell so many stories of thirty steps; `how` has further settings of Hypothesis.

    One that ends badly is raised with its steps, which can be put into `test_order_stories` as they are printed.
    """
    # A step takes as long as its requests do.
    told = settings(max_examples=examples, stateful_step_count=STEPS, deadline=None, **how)
    run_state_machine_as_test(lambda: EveryOrder(stage), settings=told)  # type: ignore[arg-type]  # it may be a function


def never(tally: Counter[str]) -> set[str]:
    """What should have happened and did not: rules, verdicts that act, deaths and meetings where a key changes."""
    rules = {f"rule {name}" for name, method in vars(EveryOrder).items() if hasattr(method, "hypothesis_stateful_rule")}
    accidents = {f"{befell} {doing}" for befell in ("killed at", "held at") for doing in DELICATE}
    edits = {f"edited between two attempts at {writing}" for writing in ("publishing", "noting")}
    enrolments = {f"enroll {end}" for end in ("enrolled", "already-done", "refused")}
    others = {"went on without its lease", "saved while a pass was under way", "declared compromised"}
    expected = rules | CHANGES | accidents | edits | enrolments | others
    return expected - {_kind(what) for what, times in tally.items() if times}


def _kind(what: str) -> str:
    """What happened without its particulars: the reason of a verdict, and on which side of a request it was."""
    return what.partition(": ")[0].replace(" before ", " at ").replace(" after ", " at ")
