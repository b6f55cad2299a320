"""A program that is held by its standard input ends with whoever holds it, and ends well by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "example"


def attached(program: Path, *arguments: str) -> subprocess.Popen[str]:
    """Run *program* by `python -m loopback.lifeline`, its standard input held open."""
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-m", "loopback.lifeline", str(program), *arguments],
        cwd=EXAMPLE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_program_that_ends_by_itself_ends_as_it_wants(tmp_path: Path) -> None:
    """Its own arguments, its own exit status, and no word about the thread that waits for the input."""
    program = tmp_path / "program.py"
    program.write_text("import sys\nprint(sys.argv[1:], __name__)\nsys.exit(3)\n")

    with attached(program, "--once") as child:
        # Not `communicate`, which would close the input before the program has ended by itself.
        assert child.wait(30) == 3
        assert child.stdout is not None
        assert child.stderr is not None
        said, errors = child.stdout.read(), child.stderr.read()

    assert (said, errors) == ("['--once'] __main__\n", "")


def test_a_program_ends_when_its_parent_is_gone(tmp_path: Path) -> None:
    """However busy it is: the input closes, whatever happened to the parent."""
    program = tmp_path / "program.py"
    program.write_text("import time\nprint('ready', flush=True)\ntime.sleep(600)\n")

    with attached(program) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        assert child.stdout.readline() == "ready\n"
        child.stdin.close()

        assert child.wait(30) == 0
