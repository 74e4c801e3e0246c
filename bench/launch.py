"""Starts one program, waits for its end, and prints as JSON what it cost and what it printed.

python -S bench/launch.py COMMAND...

It is small on purpose: Linux counts the memory of who starts a program as that program's own.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

KILOBYTES = 1024
NANOSECONDS = 1e9


def main(command: list[str]) -> None:
    """Run, measure, print."""
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603  our own programs
        assert process.stdout  # noqa: S101  as asked for above
        printed = process.stdout.read().decode()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        waited = waited_for_processor(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    cost = {
        "wall": time.monotonic() - started,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak": usage.ru_maxrss / KILOBYTES,
        "waited": waited,
        "told": json.loads(printed or "{}") if process.returncode == 0 else {},
    }
    print(json.dumps(cost))  # noqa: T201  what it is for
    sys.exit(process.returncode)


def waited_for_processor(pid: int) -> float:
    """Seconds for which the first thread of a process was ready to run and did not; 0 where the kernel does not say."""
    told = Path(f"/proc/{pid}/schedstat")
    return int(told.read_text().split()[1]) / NANOSECONDS if told.exists() else 0.0


if __name__ == "__main__":
    main(sys.argv[1:])
