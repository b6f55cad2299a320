"""What was held before, and what is to become of it: released, kept or dropped, by a person's word.

A command that lets units in again asks; what is released goes out at a capped rate, and the gate is asked
again before each is sent. Invariants: nothing is released or dropped without `--held`; more than one is
dropped only with `--yes`, as by `webhooks drop`. Explained in
docs/how-to/run-a-rollout.md.
"""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import Error as DatabaseError

from rollout.django.management import queued
from rollout.django.management.queued import Count
from rollout.django.management.words import away, refusal
from webhooks_core.django.answer import Answer, Exit
from webhooks_core.django.management import moving

__all__ = ["Choice", "Held", "add_held", "ask", "deal_with", "drop_note"]


class Choice(StrEnum):
    """What is to become of held deliveries."""

    RELEASE = "release"
    KEEP = "keep"
    DROP = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What was held, and what became of it; *code* says whether it could be done."""

    before: Count
    choice: Choice
    moved: int = 0
    lines: tuple[str, ...] = ()
    code: Exit = Exit.DONE

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON types."""
        return {
            "before": self.before.number,
            "at_least": self.before.is_least,
            "choice": self.choice.value,
            "moved": self.moved,
        }


def add_held(parser: ArgumentParser) -> None:
    """Add `--held` and `--rate`."""
    about = "what becomes of the deliveries held since: go out, stay held, or be given up"
    parser.add_argument("--held", choices=[each.value for each in Choice], help=about)
    about = "released ones go out at so many a second at most (default: %(default)s)"
    parser.add_argument("--rate", type=moving.read_rate, default=moving.PER_SECOND, metavar="N", help=about)


def ask(options: dict[str, Any], *, may_release: bool = True) -> Held:
    """Return what is held and what was said of it.

    Args:
        options: `held`, `rate` and `yes`.
        may_release: Whether to offer that they go out.

    Raises:
        Refused: Something is held, and nothing was said; or more than one is to be dropped without `yes`.
    """
    before = queued.held()
    said = options["held"]
    is_one = _is_one(before)
    if (note := drop_note(options, before)) and not options["yes"]:
        problem = f"{note}: say --yes; nothing was changed"
        raise refusal(problem, data={"held": before.number, "needs": "--yes"})
    if said is None and before.number:
        are = "delivery is" if is_one else "deliveries are"
        release = f"--held release (at most {options['rate']:g} a second, the gate is asked again for each), "
        words = f"{release if may_release else ''}--held keep, or --held drop"
        problem = f"{before} {are} held from before: say {words}; nothing was changed"
        raise refusal(problem, data={"held": before.number, "needs": "--held"})
    return Held(before=before, choice=Choice(said or Choice.KEEP))


def drop_note(options: dict[str, Any], before: Count | None = None) -> str:
    """Say how many deliveries `--held drop` would give up, where that takes `yes`; else nothing."""
    if options["held"] != Choice.DROP:
        return ""
    count = queued.held() if before is None else before
    is_many = bool(count.number) and not _is_one(count)
    return f"--held drop would give up {count} held deliveries for good" if is_many else ""


def _is_one(count: Count) -> bool:
    return count.number == 1 and not count.is_least


def deal_with(held: Held, options: dict[str, Any], *, reason: str) -> Held:
    """Release, keep or drop. What was done before is done: a database that fails here is told, not raised."""
    if held.choice is Choice.KEEP or not held.before.number:
        lines = (f"{held.before} held: kept.",) if held.before.number else _nothing(options)
        return Held(before=held.before, choice=held.choice, lines=lines)
    words = [held.choice.value, "--all", f"--reason={reason or held.choice.value}", "--yes"]
    if held.choice is Choice.RELEASE:
        words.append(f"--rate={options['rate']}")
    said = _as_said(words)
    try:
        answer: Answer = said["answer"](said)
    except DatabaseError as error:
        line = f"What was held may still be: {away(error)}; say `webhooks {' '.join(words[:2])}` again."
        return Held(before=held.before, choice=held.choice, lines=(line,), code=Exit.UNREADABLE)
    moved = answer.data["moved"]
    return Held(
        before=held.before,
        choice=held.choice,
        moved=moved if isinstance(moved, int) else 0,
        lines=tuple(f"Held before: {line}" for line in answer.lines),
    )


def _nothing(options: dict[str, Any]) -> tuple[str, ...]:
    """Answer who said what is to become of deliveries, and there were none."""
    return () if options["held"] is None else ("Nothing was held.",)


def _as_said(words: list[str]) -> dict[str, Any]:
    """Return the options of `webhooks release` or `drop` as if somebody had typed *words*."""
    parser = ArgumentParser()
    moving.add(parser.add_subparsers())
    return vars(parser.parse_args(words))
