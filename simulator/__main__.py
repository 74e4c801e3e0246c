"""`python -m simulator`."""

import sys
from importlib.util import find_spec

if missing := [name for name in ("aiohttp", "cryptography", "jwt", "trustme", "typer") if find_spec(name) is None]:
    sys.stderr.write(
        f"the simulator needs {', '.join(missing)}: run `make setup` in the project's folder, "
        "then .venv/bin/python -m simulator\n"
    )
    sys.exit(2)

from simulator.cli import main  # needs what was looked for just before

sys.exit(main())
