"""End-to-end tests run whole programs; what they share is in `example_process`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
