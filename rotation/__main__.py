"""`python -m rotation`: the operator's command line."""

import sys
from importlib.util import find_spec

from rotation.interrupts import Interrupts

interrupts = Interrupts()

if find_spec("typer") is None or find_spec("rich") is None:
    sys.stderr.write("""the command line needs typer and rich: run `pip install ".[cli]"` in the project's folder\n""")
    sys.exit(2)

from rotation.cli import main  # noqa: E402  # needs what was looked for just before, and takes its time

sys.exit(main(ready=interrupts.let_through))
