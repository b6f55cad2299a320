#!/usr/bin/env python3
"""The one door: `python3 dev.py demo`, `test`, `check`, `bench`, `simulate`, `crash`, `worlds`, `docs`.

Needs nothing but Python >= 3.11 with pip: it makes `.venv` (or the folder that ROLLOUT_VENV names), installs
what the verb needs, and runs. Ctrl-C ends everything it started. Standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent
VENV = ROOT / os.environ.get("ROLLOUT_VENV", ".venv")
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
REDIS = os.environ.get("ROLLOUT_TEST_REDIS", "redis://127.0.0.1:6379/13")
RABBITMQ = os.environ.get("ROLLOUT_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672//")
POSTGRES = os.environ.get("ROLLOUT_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")

# Values, logic and services are the files at the top of each package; folders are edges.
RINGS = "rollout/*.py,webhooks_core/*.py"

# The tests by which coverage is measured. It learns nothing more from sweeps, from killed processes and from
# the same test on another database, and makes each take twice as long or more.
TRACED = "not slow and not postgres"


class Failed(Exception):
    """A step that did not pass; the message says which and how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Something outside Python that some tests need."""

    name: str
    marker: str
    where: str

    def is_there(self) -> bool:
        """Return whether it answers now."""
        parts = urlsplit(self.where)
        if not parts.scheme:
            return shutil.which(self.where) is not None
        try:
            address = (parts.hostname or "127.0.0.1", parts.port or PORTS[parts.scheme])
            socket.create_connection(address, timeout=1).close()
        except OSError:
            return False
        return True


PORTS = {"postgresql": 5432, "redis": 6379, "amqp": 5672}
SERVICES = (
    Service(name="PostgreSQL", marker="postgres", where=POSTGRES),
    Service(name="Redis", marker="redis", where=REDIS),
    Service(name="RabbitMQ", marker="rabbitmq", where=RABBITMQ),
    Service(name="Node.js", marker="node", where="node"),
)


# --- running things ---


def run(*command: str | Path, env: dict[str, str] | None = None, cwd: Path = ROOT) -> None:
    """Run *command* in a process group of its own; on Ctrl-C or SIGTERM end the whole group."""
    with running(*command, env=env, cwd=cwd):
        pass


@contextmanager
def running(*command: str | Path, env: dict[str, str] | None = None, cwd: Path = ROOT) -> Iterator[None]:
    """Run *command* beside the block, then wait for it, as `run` does; an error in the block ends it."""
    child = subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        start_new_session=os.name != "nt",
    )
    try:
        yield
        status = child.wait()
    except BaseException:
        end(child)
        raise
    if status != 0:
        raise Failed(f"{' '.join(str(part) for part in command[:4])} … ended with status {status}")


def end(child: subprocess.Popen[bytes]) -> None:
    """End *child* and all it started: politely, then firmly."""
    for number, patience in (
        (signal.SIGINT, 5.0),
        (signal.SIGTERM, 3.0),
        (getattr(signal, "SIGKILL", signal.SIGTERM), 3.0),
    ):
        try:
            os.killpg(child.pid, number) if os.name != "nt" else child.send_signal(number)
        except (ProcessLookupError, PermissionError):
            return
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            continue


def on_sigterm(_number: int, _frame: object) -> None:
    """Make SIGTERM end what we started, as Ctrl-C does."""
    raise KeyboardInterrupt


def install(extras: str) -> Path:
    """Make the environment if it is not there, install this project with *extras*, and return its Python."""
    python = BIN / ("python.exe" if os.name == "nt" else "python")
    if not python.exists():
        say(f"making {VENV.name} with Python {sys.version.split()[0]}")
        venv.create(VENV, with_pip=True, symlinks=os.name != "nt")
    inputs = b"".join(
        (ROOT / name).read_bytes() for name in ("setup.cfg", "constraints.txt", "pyproject.toml")
    )
    stamp = VENV / f".installed-{extras.replace(',', '-')}"
    print_of_inputs = hashlib.sha256(inputs).hexdigest()
    if not stamp.exists() or stamp.read_text() != print_of_inputs:
        say(f"installing the project with its extras [{extras}] (once; a minute or two)")
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "-c", ROOT / "constraints.txt", "-e", f"{ROOT}[{extras}]")  # fmt: skip
        stamp.write_text(print_of_inputs)
    return python


def say(text: str) -> None:
    """Print one line of our own, at once."""
    print(f"dev.py: {text}", flush=True)


# --- the verbs ---


def demo(arguments: list[str]) -> None:
    """Watch real events pass the flag, get signed, cross HTTP and be verified; then break things."""
    run(install("django"), ROOT / "example" / "demo.py", *arguments)


def prepare(_arguments: list[str]) -> None:
    """Make the environment, and install what the tests need."""
    install("dev")


def test(arguments: list[str], *, coverage: bool = False, only: str = "") -> None:
    """Run the tests, and say what a missing service leaves out; `--quick` leaves out what is slow."""
    python = install("dev")
    missing = [service for service in SERVICES if not service.is_there()]
    if missing and CI:
        raise Failed(
            "not there, and nothing is skipped in CI: " + ", ".join(service.name for service in missing)
        )
    wanted = [f"not {service.marker}" for service in missing]
    rest = [argument for argument in arguments if argument != "--quick"]
    if "--quick" in arguments:
        wanted.append("not slow")
    if only:
        wanted.append(only)
    marks = ["-m", " and ".join(wanted)] if wanted else []
    workers = (
        []
        if any(argument.startswith(("-n", "-p", "--pdb")) for argument in rest)
        # More than cores: many tests wait for processes, databases and clocks. A group stays on one worker.
        else ["-n", str((os.cpu_count() or 2) + 1), "--dist", "loadgroup"]
    )
    runner = ["-m", "coverage", "run", "-m", "pytest"] if coverage else ["-m", "pytest"]
    # Of the development mode all but its allocator, which looks for faults in C and costs a fifth.
    run(python, "-X", "dev", *runner, "-q", *workers, *marks, *rest, env={"PYTHONMALLOC": "pymalloc"})
    for service in missing:
        where = f"marker {service.marker}; nothing at {public(service.where)}"
        say(f"left out: the tests that need {service.name} ({where})")


def public(where: str) -> str:
    """Return *where* without a password."""
    parts = urlsplit(where)
    return where if parts.password is None else where.replace(f":{parts.password}@", ":…@")


def measure_coverage(python: Path) -> None:
    """Hold branch coverage to 100 % for values, logic and services, and to 95 % overall."""
    run(python, "-m", "coverage", "combine", "--quiet")
    run(python, "-m", "coverage", "report", "--fail-under=95", "--skip-covered")
    run(python, "-m", "coverage", "report", f"--include={RINGS}", "--fail-under=100", "--skip-covered")


def wheel() -> None:
    """Build the wheel, install it alone in a clean environment outside the tree, and use it there."""
    python = install("dev")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        run(python, "-m", "build", "--wheel", "--outdir", place / "dist", ROOT)
        venv.create(place / "venv", with_pip=True, symlinks=os.name != "nt")
        clean = place / "venv" / BIN.name / python.name
        run(
            clean,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            *(place / "dist").glob("*.whl"),
        )
        run(clean, "-I", ROOT / "tests" / "e2e" / "wheel_smoke.py", cwd=place)


def compute(_arguments: list[str]) -> None:
    """Run the seeds that must hold, over both stores; build and use the wheel; build the manual."""
    jobs = str(os.cpu_count() or 2)
    simulate(["--seeds", "20000", "--jobs", jobs])
    simulate(["--store", "orm", "--seeds", "1000", "--jobs", jobs])
    wheel()
    docs([])


def other_tests(arguments: list[str]) -> None:
    """Run the tests that coverage leaves out, and what only computes in the time that they wait."""
    # Of the lowest priority, so that no test waits for it.
    polite = ("nice", "-n", "19") if shutil.which("nice") else ()
    with running(*polite, sys.executable, __file__, "compute"):
        test(arguments, only=f"not ({TRACED})")


def check(arguments: list[str]) -> None:
    """Run all that must hold before a change lands, fastest first; stop at the first failure."""
    begun = time.perf_counter()
    python = install("dev")
    spent = [("install", time.perf_counter() - begun)]
    tools = python.parent
    steps = (
        ("format", lambda: run(tools / "ruff", "format", "--check", "--quiet", ".")),
        ("lint", lambda: run(tools / "ruff", "check", "--quiet", ".")),
        ("imports", lambda: run(tools / "lint-imports", "--no-cache", env={"PYTHONPATH": str(ROOT)})),
        ("types", lambda: run(tools / "mypy")),
        ("tests", lambda: test(arguments, coverage=True, only=TRACED)),
        ("coverage", lambda: measure_coverage(python)),
        ("other tests", lambda: other_tests(arguments)),
    )
    for stale in ROOT.glob(".coverage*"):
        stale.unlink()
    for name, step in steps:
        say(f"{name} …")
        begun = time.perf_counter()
        try:
            step()
        finally:
            spent.append((name, time.perf_counter() - begun))
    print("\n".join(f"{name:<10} {seconds:7.1f} s" for name, seconds in spent), flush=True)
    say(f"all of it holds, in {sum(seconds for _, seconds in spent):.0f} s")


def bench(arguments: list[str]) -> None:
    """Run the benchmarks (all, or those named: `bench evaluate sign`), peers beside us in the same run."""
    python = install("dev,bench")
    names = [name for name in arguments if not name.startswith("-")]
    flags = [flag for flag in arguments if flag.startswith("-")]
    known = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text())
    for name in names or known:
        if name not in known:
            raise Failed(f"no benchmark named {name!r}; there are: {', '.join(known)}")
    missed = []
    for name in names or known:
        try:
            run(python, ROOT / "benchmarks" / f"{name}.py", *flags, env={"PYTHONPATH": str(ROOT)})
        except Failed as failure:
            missed.append(f"{name}: {failure}")
    if missed:
        raise Failed("missed a target:\n" + "\n".join(missed))


def docs(arguments: list[str]) -> None:
    """Build the manual into docs/_build/html, warnings as errors."""
    python = install("dev")
    run(
        python,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        "-j",
        "auto",
        *arguments,
        "docs",
        "docs/_build/html",
    )
    say("the manual is in docs/_build/html/index.html")


def simulate(arguments: list[str]) -> None:
    """Run the seeded simulation (`--seeds 20000 --jobs 2`, `--store orm`), or replay `--seed S --trace`."""
    run(install("dev"), "-m", "tests.simulation", *arguments, env={"PYTHONPATH": str(ROOT)})


def crash(arguments: list[str]) -> None:
    """Kill real processes, again and again (`--cycles 200 --database both --seed S`); lose nothing."""
    run(install("dev"), "-m", "tests.crash", *arguments, env={"PYTHONPATH": str(ROOT)})


def worlds(arguments: list[str]) -> None:
    """Run the guard in simulated worlds (`--worlds 10000 --jobs 2`, `--like TEXT`, `--set NAME=VALUE`)."""
    run(install("dev"), "-m", "tests.worlds", *arguments, env={"PYTHONPATH": str(ROOT)})


VERBS = {
    "demo": demo,
    "install": prepare,
    "test": test,
    "check": check,
    "bench": bench,
    "simulate": simulate,
    "crash": crash,
    "worlds": worlds,
    "compute": compute,
    "docs": docs,
}


def main() -> int:
    """Read the verb and run it; return the exit status."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this is where an older Python is told so
        print(f"dev.py: needs Python >= 3.11, this is {sys.version.split()[0]}", file=sys.stderr)
        return 2
    parser = argparse.ArgumentParser(
        prog="dev.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, verb in VERBS.items():
        verbs.add_parser(name, help=(verb.__doc__ or "").splitlines()[0], add_help=False)
    chosen, rest = parser.parse_known_args()
    # Hundreds of processes start on the same files; without bytecode each would compile them for itself.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    signal.signal(signal.SIGTERM, on_sigterm)
    try:
        VERBS[chosen.verb](rest)
    except Failed as failure:
        print(f"dev.py: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndev.py: stopped, and all that it had started", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
