"""What was held before, and what is to become of it: released, kept or dropped, by a person's word.

A command that lets units in again asks; what is released goes out at a capped rate, and the gate is asked
again before each is sent. Invariant: nothing is released or dropped without `--held`. Explained in
docs/how-to/run-a-rollout.md.
"""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rollout.django.management import queued
from rollout.django.management.queued import Count
from rollout.django.management.words import refusal
from webhooks_core.django.answer import Answer
from webhooks_core.django.management import moving

__all__ = ["Choice", "Held", "add_held", "ask", "deal_with"]


class Choice(StrEnum):
    """What is to become of held deliveries."""

    RELEASE = "release"
    KEEP = "keep"
    DROP = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What was held, and what became of it."""

    before: Count
    choice: Choice
    moved: int = 0
    lines: tuple[str, ...] = ()

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


def ask(options: dict[str, Any]) -> Held:
    """Return what is held and what was said of it.

    Raises:
        Refused: Something is held, and nothing was said.
    """
    before = queued.held()
    said = options["held"]
    if said is None and before.number:
        are = "delivery is" if before.number == 1 and not before.is_least else "deliveries are"
        problem = (
            f"{before} {are} held from before: say --held release (at most {options['rate']:g} a second, the"
            " gate is asked again for each), --held keep, or --held drop; nothing was changed"
        )
        raise refusal(problem, data={"held": before.number, "needs": "--held"})
    return Held(before=before, choice=Choice(said or Choice.KEEP))


def deal_with(held: Held, options: dict[str, Any], *, reason: str) -> Held:
    """Release, keep or drop."""
    if held.choice is Choice.KEEP or not held.before.number:
        lines = (f"{held.before} held: kept.",) if held.before.number else _nothing(options)
        return Held(before=held.before, choice=held.choice, lines=lines)
    words = [held.choice.value, "--all", f"--reason={reason or held.choice.value}", "--yes"]
    if held.choice is Choice.RELEASE:
        words.append(f"--rate={options['rate']}")
    said = _as_said(words)
    answer: Answer = said["answer"](said)
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
