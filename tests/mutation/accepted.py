"""Changes that are accepted although no test notices them, each group with the reason why."""

from typing import NamedTuple


class Change(NamedTuple):
    """A function, a text of it, and what is put in its place; where it stands is left out, since that moves."""

    function: str
    stands: str
    broken: str


ACCEPTED: dict[str, tuple[Change, ...]] = {
    "None is as false as False": (
        Change("rotate._Pass.__init__", "self._listed_again = False", "self._listed_again = None"),
        Change("rotate._Pass.__init__", "self._acted = False", "self._acted = None"),
        Change("rotate._Pass._work", "caught_up = False", "caught_up = None"),
        Change("rotate._Pass._come_to_rest", "listed_anew = False", "listed_anew = None"),
        Change("rotate._Pass._come_to_rest", "listed_anew = False", "listed_anew = None"),
        Change(
            "act.Hands._publish_staged",
            "await self._publish_new(members, slot, key, renewed=False)",
            "await self._publish_new(members, slot, key, renewed=None)",
        ),
    ),
    "which keys a role means does not depend on vaults that nobody saw; the verdict does, and is thrown away here": (
        Change(
            "rotate.identified",
            "looking = _Pass(group, request, tools, ())",
            "looking = _Pass(group, request, tools, None)",
        ),
    ),
    "a pass judges the listing before it does anything that may fail, so that nobody is told this first value": (
        Change(
            "rotate._Pass.__init__",
            "self._verdict: Verdict | None = None",
            'self._verdict: Verdict | None = ""',
        ),
    ),
    "every act has taken down its step before it promises anything": (
        Change("act.Hands._promise", "if self._step is not None:", "if (self._step is not None) or True:"),
    ),
}
