"""The tripwire of one host: personal data was found, so nothing more is sent from here.

A latch in the process, at once, and a file beside the kill file, for every process of the host and for those
that start later. The file's being there decides, as the kill file's does; its lines are for the journal and
for a person. The invariants: a process that tripped stays so until the file that it wrote is gone; nothing
but a kind and a masked place is written. Explained in docs/how-to/clear-a-trip.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from rollout.controls import NOT_KILLED, KillState
from rollout.sources.kill import KillFile, append_line

__all__ = ["SUFFIX", "HostSwitches", "Trip", "Tripwire"]

SUFFIX = ".trip"
"""The trip file is the kill file's path with this at its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """What was found, and never what it was.

    Args:
        at: Epoch seconds, UTC.
        flag: Whose delivery it was.
        event: The event's name.
        kind: `address`, `handle`, `network` or `phone`, or `key` for a forbidden name.
        place: The path inside the payload, unlisted keys as `*`.
        process: `host:pid` of who found it.
    """

    at: float
    flag: str
    event: str
    kind: str
    place: str
    process: str

    def __str__(self) -> str:
        return f"{self.kind} at {self.place} in {self.event}"

    def as_dict(self) -> dict[str, str]:
        """Return what was found where, as JSON types; who found it and when stay in the file."""
        return {"event": self.event, "kind": self.kind, "place": self.place}


class Tripwire:
    """Trip, and tell whether this host has tripped.

    Args:
        kill: The kill file beside which the trip file stands.
    """

    __slots__ = ("_file", "_latched", "_was_written")

    def __init__(self, kill: KillFile) -> None:
        self._file = KillFile(f"{kill.path}{SUFFIX}")
        self._latched = ""
        self._was_written = False

    @property
    def path(self) -> str:
        """Where the trip file stands."""
        return self._file.path

    def trip(self, found: Trip) -> bool:
        """Latch this process and write the file; return whether the file could be written. Never raises.

        Where it could not, this process is stopped all the same, and the caller has to tell.
        """
        self._latched = f"{found.kind} at {found.place}"
        self._was_written = False  # of an earlier trip: a latch without a file holds until the process ends
        try:
            append_line(self.path, json.dumps({name: getattr(found, name) for name in Trip.__slots__}))
        except Exception:  # noqa: BLE001 (whatever keeps it from being written: the latch holds, the caller tells)
            return False
        self._was_written = True
        return True

    def state(self) -> KillState:
        """Look now, as a kill switch does. Never raises."""
        state = self._file.state()
        if state.killed:
            return KillState(killed=True, why=f"personal data was found: {state.why}")
        if self._latched and self._was_written:
            # The file was there and a person has removed it: that is how a trip is cleared.
            self._latched, self._was_written = "", False
        if self._latched:
            return KillState(killed=True, why=f"personal data was found in this process: {self._latched}")
        return NOT_KILLED

    def trips(self) -> tuple[Trip, ...]:
        """Return what the file says, oldest first; lines that cannot be read are left out. Never raises."""
        found = []
        try:
            with open(self.path, encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    trip = _read(line)
                    if trip is not None:
                        found.append(trip)
        except (OSError, ValueError):
            return tuple(found)
        return tuple(found)

    def clear(self) -> bool:
        """Remove the file; return whether there was one.

        Raises:
            KillFileStuck: It is still there.
        """
        return self._file.release()

    def __repr__(self) -> str:
        return f"Tripwire({self.path!r})"


class HostSwitches:
    """The two files of a host as one kill switch: either stops everything.

    Args:
        kill: The kill file; the trip file stands beside it.
    """

    __slots__ = ("kill", "tripwire")

    def __init__(self, kill: KillFile) -> None:
        self.kill = kill
        self.tripwire = Tripwire(kill)

    def state(self) -> KillState:
        """Look at both now. Never raises."""
        state = self.kill.state()
        return state if state.killed else self.tripwire.state()


def _read(line: str) -> Trip | None:
    try:
        data = json.loads(line)
        if not isinstance(data, Mapping):
            return None
        texts = {name: str(data[name]) for name in ("flag", "event", "kind", "place", "process")}
        return Trip(at=float(data["at"]), **texts)
    except (ValueError, KeyError, TypeError):
        return None
