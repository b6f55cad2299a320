"""`manage.py rollout status`: how the rollout stands, for a person at three in the morning and for a program.

Printing only; `standing.py` reads and decides. Invariant: the first line says what is so, and the lines under
"waits for" say everything that keeps the next stage from beginning. Explained in
docs/how-to/run-a-rollout.md.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from rollout.actor import cut
from rollout.django.management import guard_table, standing, status_data
from rollout.django.management.guard_table import MOST_ROWS
from rollout.django.management.screen import Line, as_lines
from rollout.django.management.standing import Host, Seen, Standing
from rollout.django.management.words import WAIT_SECONDS, read_seconds
from rollout.duration import spoken
from rollout.fleet import Sender, stopping
from rollout.rollout_state import GUARDED, LATCHED, State
from rollout.situation import Obstacle, ObstacleKind, following_stage, moment
from webhooks_core.django.answer import Answer, as_line

__all__ = ["add", "lines_of"]

#: Of a reason; `history --json` and `--json` have all of it.
MOST_CHARACTERS = 160
#: Different finds of a trip; the file and `--json` have all.
MOST_TRIPS = 3
WATCH_SECONDS = 2.0
_CLEAR = "\x1b[2J\x1b[H"


def add(nouns: Any) -> None:
    """Add the command."""
    about = "how the rollout stands; the exit code says it, too"
    status = nouns.add_parser("status", help=about, description=about)
    status.add_argument("--watch", action="store_true", help="again every two seconds, until Ctrl-C")
    about = "how long the database may take (default: %(default)s)"
    status.add_argument("--timeout", type=read_seconds, default=WAIT_SECONDS, metavar="SECONDS", help=about)
    status.set_defaults(answer=show)


def show(options: dict[str, Any]) -> Answer:
    """Show it once, or until somebody has seen enough; as JSON one object a line for each look."""
    answer = _answer(options)
    if not options["watch"]:
        return answer
    try:
        while True:
            sys.stdout.write(as_line(answer) + "\n" if options["json"] else _screen(answer))
            sys.stdout.flush()
            time.sleep(WATCH_SECONDS)
            answer = _answer(options)
    except KeyboardInterrupt:
        return answer


def _screen(answer: Answer) -> str:
    clear = _CLEAR if sys.stdout.isatty() else ""
    return clear + "\n".join(answer.lines) + "\n"


def _answer(options: dict[str, Any]) -> Answer:
    found = standing.look(timeout_seconds=options["timeout"])
    return Answer(
        code=standing.exit_of(found),
        lines=as_lines(lines_of(found)),
        data=status_data.as_dict(found),
        is_report=True,
    )


def lines_of(found: Standing) -> list[Line]:
    """Return what a person reads."""
    lines: list[Line] = [_first(found), *_alarms(found)]
    if found.seen is None:
        return lines
    seen = found.seen
    if seen.state.state in GUARDED:
        lines += ["", *_progress(seen)]
        lines += ["", *guard_table.lines_of(seen)]
    lines += ["", *_senders(seen), _runner(seen), *_queue(seen)]
    return lines


def _first(found: Standing) -> str:
    if found.seen is None:
        nowhere = "no plan and no database: the percentage is in settings or a file (`flag list`)"
        unlooked = "the rollout was not looked at: a setting is bad" if found.host.bad_settings else nowhere
        return f"{found.flag} ({found.environment}): {found.problem or unlooked}"
    state = found.seen.state
    shadow = " (shadow: nothing is sent)" if state.is_shadow else ""
    stage = f", stage {state.stage_text}" if state.stage_text else ""
    return f"{found.flag} ({found.environment}): {state.state} at {state.ceiling_text}{shadow}{stage}"


def _alarms(found: Standing) -> list[Line]:
    host = found.host
    lines: list[Line] = []
    if host.kill.killed:
        lines.append(f"KILLED on this host: {host.kill.why}")
    if host.trip.killed:
        lines += _tripped(host)
    if off := host.switched_off():
        lines.append(off)
    lines += [f"BAD SETTING, every gate is closed: {each}" for each in host.bad_settings]
    seen = found.seen
    if seen is None:
        return lines
    if seen.state.killed:
        lines.append("KILLED: `rollout unkill` puts the switch back")
    if seen.state.reason:
        lines.append(f"why: {cut(seen.state.reason, MOST_CHARACTERS)} (by {seen.state.actor})")
    if back := seen.situation.went_back(seen.state):
        lines.append(f"STORE WENT BACK: {back}; a person must `accept-store`, or roll back")
        lines += _who_saw_more(seen)
    return lines


def _who_saw_more(seen: Seen) -> list[Line]:
    """Name the senders by which the store went back: each with what it had seen and when it last said so."""
    now, epoch = seen.situation.now, seen.state.epoch
    more = [each for each in seen.situation.senders if each.seen_version or each.epoch > epoch]
    lines: list[Line] = []
    for each in more[:MOST_ROWS]:
        what = f"version {each.seen_version}" if each.seen_version else f"epoch {each.epoch}"
        ago = spoken(max(0.0, now - each.seen_at))
        lines.append(f"  {each.name} had seen {what}, and said so {ago} ago")
    left = len(more) - MOST_ROWS
    return [*lines, *([f"  and {left} more"] if left > 0 else [])]


def _tripped(host: Host) -> list[Line]:
    """Say what was found where, and what a person does about it."""
    found = list(dict.fromkeys(str(each) for each in host.trips))
    more = f" and {len(found) - MOST_TRIPS} more" if len(found) > MOST_TRIPS else ""
    what = f": {', '.join(found[:MOST_TRIPS])}{more}" if found else ""
    return [
        f"TRIPPED on this host: {host.trip.why}{what}",
        "  once the call that sent it is mended, another person says so: `rollout clear-trip`",
    ]


def _progress(seen: Seen) -> list[Line]:
    state, stage = seen.state, seen.state.stage_plan
    assert stage is not None  # a guarded state has one
    baked = spoken(state.progress.baked_seconds)
    lines: list[Line] = [
        f"held {baked} of {spoken(stage.bake_seconds)}, since {moment(state.stage_entered_at)}"
        + (f", at most {stage.rate_per_second} a second" if stage.rate_per_second is not None else "")
    ]
    following = following_stage(state)
    if following is None:
        lines.append("next: the plan is done" if seen.obstacles else "next: completed at the next pass")
    else:
        count = seen.situation.next_cohort
        who = "" if count is None else f", {count} units"
        approval = ", after a person's approval" if following.approval else ""
        note = seen.situation.cohort_note()
        lines.append(f"next: {following.percentage} %{who}{approval}" + (f": {note}" if note else ""))
    lines += [f"  waits for {each.kind.value}: {_why(each, seen)}" for each in seen.obstacles]
    drift = seen.situation.drift(state)
    return [*lines, *([f"drift: {drift}"] if drift and following is None else [])]


def _why(obstacle: Obstacle, seen: Seen) -> str:
    """Return an obstacle's text; of the guard's, which is long, the measures that the table begins with."""
    if obstacle.kind is ObstacleKind.APPROVAL:
        return f"{obstacle.text}: `rollout approve`"
    verdict = seen.verdict
    if obstacle.kind is not ObstacleKind.VERDICT or verdict is None or not verdict.readings:
        return obstacle.text
    if seen.situation.evidence_problem:
        return seen.situation.evidence_problem
    return (
        f"{verdict.standing.value.replace('_', ' ')}: {', '.join(each.measure for each in verdict.reasons)}"
    )


def _senders(seen: Seen) -> list[Line]:
    now, epoch = seen.situation.now, seen.state.epoch
    alive = [each for each in seen.situation.senders if each.is_alive(now=now)]
    lines: list[Line] = []
    if seen.state.state in LATCHED:
        found = stopping(seen.situation.senders, epoch=epoch, since=seen.state.epoch_at, now=now)
        lines.append(f"{found}")
    if not alive:
        return [*lines, "senders: none is alive"]
    behind = [each for each in alive if each.epoch < epoch]
    stopped = [each for each in alive if each.stopped_by]
    shown = sorted(alive, key=lambda each: (each.epoch >= epoch, not each.stopped_by))
    more = f", {len(stopped)} stopped by a file of their host" if stopped else ""
    lines.append(f"senders: {len(alive)} alive, {len(alive) - len(behind)} obey epoch {epoch}{more}")
    lines += [f"  {_sender(each, epoch=epoch, now=now)}" for each in shown[:MOST_ROWS]]
    left = len(shown) - MOST_ROWS
    return [*lines, *([f"  and {left} more"] if left > 0 else [])]


def _sender(sender: Sender, *, epoch: int, now: float) -> str:
    late = "" if sender.epoch >= epoch else f", still at epoch {sender.epoch}"
    stopped = f", STOPPED on its host: {sender.stopped_by}" if sender.stopped_by else ""
    return f"{sender.name}: seen {max(0.0, now - sender.seen_at):.1f} s ago{late}{stopped}"


def _runner(seen: Seen) -> str:
    now, watcher = seen.situation.now, seen.watcher
    presence = watcher.presence(now=now)
    if presence is standing.Presence.AT_WORK:
        return f"runner: {watcher.holder} is at work, its lease holds {watcher.until_at - now:.0f} s"
    ago = (
        f"the last: {watcher.holder}, {spoken(now - watcher.until_at)} ago" if watcher.holder else "none yet"
    )
    is_needed = seen.state.state in GUARDED or seen.state.state is State.ROLLING_BACK
    if presence is standing.Presence.LATELY or not is_needed:
        return f"runner: none at this moment, {ago}"
    return f"runner: NOBODY DRIVES THIS ROLLOUT, {ago}: start `manage.py rollout run`"


def _queue(seen: Seen) -> list[Line]:
    queue = seen.queue
    if queue is None:
        return []
    line = f"queue: {queue.pending} on their way, {queue.held} held, {queue.dead} given up"
    if not queue.held.number:
        return [line]
    return [line, "  held ones wait for a person: `webhooks release` or `drop`, or `rollout start --held …`"]
