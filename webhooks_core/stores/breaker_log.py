"""A breaker as a log that many processes read: the script that appends, and the view that one process has.

What lives here: the form of the log and of its replies. What must not: a connection, a clock, and what a
command does (`breaker.decide`, through `Record`). Invariant: two processes that have seen the same log hold
the same state, since every entry brings its moment, its policy and its chance. Explained in
docs/explanation/breaker.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from webhooks_core.breaker import BreakerState, State, Step
from webhooks_core.stores.breaker_text import Record, dump_record, dump_state, load_record, load_state

# KEYS[1]: a list of birth, version of the kept state, the kept state, and the entries after it, oldest first.
# ARGV: birth and version that the caller knows ('' and '0' at first), milliseconds to live, version and state
# to keep from now on ('' for none), then pairs of moment ('' is now) and record.
# A caller who knows another birth appends nothing: Redis has lost the log, and he is told so first.
# A state is taken where none was ever kept in an empty log too: that is how a lost one comes back.
APPEND = """
local time = redis.call('TIME')
local now = time[1] .. '.' .. string.format('%06d', time[2])
local log = KEYS[1]
if redis.call('EXISTS', log) == 0 then redis.call('RPUSH', log, now, '0', '') end
local head = redis.call('LRANGE', log, 0, 2)
local birth, base, state = head[1], tonumber(head[2]), head[3]
local accepted = ARGV[1] == '' or ARGV[1] == birth
if accepted then
  if ARGV[4] ~= '' then
    local version, count = tonumber(ARGV[4]), redis.call('LLEN', log) - 3
    local first = base == 0 and state == '' and count == 0 and version == 1
    if first or (version > base and version <= base + count) then
      redis.call('LTRIM', log, 3 + version - base, -1)
      redis.call('LPUSH', log, ARGV[5], ARGV[4], birth)
      base, state = version, ARGV[5]
    end
  end
  for i = 6, #ARGV, 2 do
    redis.call('RPUSH', log, (ARGV[i] == '' and now or ARGV[i]) .. ' ' .. ARGV[i + 1])
  end
end
if redis.call('PTTL', log) < tonumber(ARGV[3]) then redis.call('PEXPIRE', log, ARGV[3]) end
local known = tonumber(ARGV[2])
if ARGV[1] == birth and known >= base then
  return {now, birth, base, false, redis.call('LRANGE', log, 3 + known - base, -1)}
end
return {now, birth, base, state, redis.call('LRANGE', log, 3, -1)}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One record to append. `moment` is epoch seconds; None is the moment at which it is appended."""

    record: Record
    moment: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReply:
    """What the script returned. `state` is None where the reader's own is still what the entries follow."""

    now: float
    birth: str
    base: int
    state: str | None
    entries: tuple[str, ...]

    @classmethod
    def parse(cls, reply: object) -> LogReply:
        """Read the script's reply.

        Raises:
            ValueError: It is no such reply.
        """
        match reply:
            case [bytes(now), bytes(birth), int(base), bytes() | None as state, list(entries)]:
                return cls(
                    now=float(now),
                    birth=birth.decode("ascii"),
                    base=base,
                    state=None if state is None else state.decode("ascii"),
                    entries=tuple(entry.decode("ascii") for entry in entries if isinstance(entry, bytes)),
                )
            case _:
                raise ValueError("not the reply of a breaker's log")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogView:
    """What one process has seen of one log, and the state that comes of it."""

    birth: str = ""
    base: int = 0
    version: int = 0
    state: BreakerState = field(default_factory=BreakerState)

    def arguments(
        self, entries: Sequence[Entry], *, keep_seconds: float, compact_from: int, lost: BreakerState | None
    ) -> list[str]:
        """Return the script's ARGV.

        Args:
            entries: To append.
            keep_seconds: How long the log lives from now on, at least.
            compact_from: Give the state back once so many entries lie on top of the kept one.
            lost: What was known before Redis lost the log, to begin the new one with.
        """
        kept = ("", "")
        if lost is not None:
            kept = ("1", dump_state(replace(lost, generation=_first_generation(self.birth) + 1)))
        elif self.version - self.base >= compact_from:
            kept = (str(self.version), dump_state(self.state))
        found = [self.birth, str(self.version), str(int(keep_seconds * 1000)), *kept]
        for entry in entries:
            found += ["" if entry.moment is None else repr(entry.moment), dump_record(entry.record)]
        return found

    def after(self, reply: LogReply) -> tuple[LogView, list[Step]]:
        """Return the view with *reply* seen, and the step of each of its entries.

        Raises:
            ValueError: An entry or a state is none of ours.
        """
        if reply.state is None:
            version, state = self.version, self.state
        else:
            version = reply.base
            fresh = BreakerState(generation=_first_generation(reply.birth))
            state = load_state(reply.state) if reply.state else fresh
        steps: list[Step] = []
        for entry in reply.entries:
            moment, _, text = entry.partition(" ")
            steps.append(load_record(text).applied(state, now=float(moment)))
            state = steps[-1].state
        view = LogView(birth=reply.birth, base=reply.base, version=version + len(steps), state=state)
        return view, steps


def is_worth_keeping(state: BreakerState) -> bool:
    """Return whether a log that was lost should begin with *state*, instead of closed."""
    return state.state is not State.CLOSED or state.forced is not None


def _first_generation(birth: str) -> int:
    """Return a generation that no earlier log of this endpoint has reached: the birth, in milliseconds."""
    return int(float(birth) * 1000)
