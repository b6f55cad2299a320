#!/usr/bin/env python3
"""The demo: `python example/demo.py [--json] [--quick]`, or `python3 dev.py demo` on a fresh clone."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from rehearsal.run import main  # noqa: E402 (found only now)

if __name__ == "__main__":
    raise SystemExit(main())
