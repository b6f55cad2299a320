"""A process that ends with the one that started it: no orphan, whatever happened to the parent.

python -m loopback.lifeline manage.py webhooks worker      # any program, its standard input held open
"""

from __future__ import annotations

import os
import runpy
import sys
import threading

STANDARD_INPUT = 0


def end_with_parent() -> None:
    """End this process at once when its standard input closes: whoever held the other end is gone."""
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    while os.read(STANDARD_INPUT, 1024):  # not `sys.stdin`, whose lock an orderly end would wait for
        pass
    os._exit(0)


if __name__ == "__main__":
    end_with_parent()
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
