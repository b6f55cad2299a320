"""What `import rollout` and `import webhooks_core` cost a fresh interpreter, over one that imports nothing.

Each figure is a whole process; the table shows the difference to bare Python in the same round. The last
row is for information: the contents pages are lazy, and it loads what a user needs first.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from rounds import interleave

MOST_MILLISECONDS = 60.0
CASES = {
    "bare Python": "pass",
    "import rollout": "import rollout",
    "import webhooks_core": "import webhooks_core",
    "rollout, gate and file": "from rollout import FileSource, Gate, LiveFlags",
}
MODULES = (
    "import sys; before = set(sys.modules); {code}; "
    "new = {{name.partition('.')[0] for name in set(sys.modules) - before}}; "
    "print(*sorted(new - set(sys.stdlib_module_names) - {{'rollout', 'webhooks_core'}}))"
)


def process(code: str) -> Callable[[], float]:
    """Return what measures an interpreter that runs *code*, in milliseconds."""

    def run() -> float:
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return (time.perf_counter() - begun) * 1e3

    return run


def third_party(code: str) -> list[str]:
    """Return the modules that are neither Python's nor ours, after *code*."""
    done = subprocess.run(
        [sys.executable, "-c", MODULES.format(code=code)], check=True, capture_output=True, text=True
    )
    return done.stdout.split()


def main() -> int:
    figures = interleave({name: process(code) for name, code in CASES.items()}, rounds=15)
    print(f"\nImporting, fresh interpreters\nPython {sys.version.split()[0]}, 15 interleaved rounds")
    print(f"{'case':<24}  {'median ms':>10}  {'over bare':>10}  third-party modules")
    every = True
    for name, code in CASES.items():
        over = statistics.median(a - b for a, b in zip(figures[name], figures["bare Python"], strict=True))
        foreign = third_party(code)
        good = over <= MOST_MILLISECONDS and not foreign
        every = every and (good or not name.startswith("import"))
        shown = ", ".join(foreign) or "none"
        print(f"{name:<24}  {statistics.median(figures[name]):>10.1f}  {over:>10.1f}  {shown}")
    verdict = "ok  " if every else "MISS"
    print(f"{verdict} imports <= {MOST_MILLISECONDS} ms over bare Python, no third-party module")
    return 0 if every else 1


if __name__ == "__main__":
    sys.exit(main())
