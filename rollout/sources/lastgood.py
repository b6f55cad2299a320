"""The last good flags, and what may replace them: shared by every source that reads a configuration.

The invariants: versions only grow; a flag keeps its salt and algorithm for life, also when it was away for
a while; and nothing that goes wrong takes away what was good. No reading happens here. Explained in
docs/reference/flag-file.md.
"""

from __future__ import annotations

from rollout.flags import FlagKey
from rollout.snapshot import Snapshot, SourceStatus
from rollout.sources.dump import FlagSet

__all__ = ["LastGood"]


class LastGood:
    """Hold the snapshot in force and decide what a new reading makes of it.

    Args:
        origin: Where the flags come from, for the snapshot.
    """

    __slots__ = ("_identities", "_origin", "snapshot")

    def __init__(self, origin: str) -> None:
        self._origin = origin
        # Salt and algorithm of every flag ever seen, removed ones included.
        self._identities: dict[FlagKey, tuple[str, str]] = {}
        #: The snapshot in force.
        self.snapshot = Snapshot(status=SourceStatus.ERROR, problem="nothing was read yet", origin=origin)

    @property
    def is_there(self) -> bool:
        """Whether anything good was ever read."""
        return self.snapshot.status is not SourceStatus.ERROR

    def take(self, read: FlagSet) -> Snapshot:
        """Put *read* in force, unless it goes back in version or deals a flag's units again."""
        last = self.snapshot
        if read.version < last.version:
            problem = f"{self._origin}: version {read.version} after version {last.version}"
            return self._held(SourceStatus.STORE_WENT_BACK, problem)
        for key, flag in read.flags.items():
            salt, algorithm = self._identities.get(key, (flag.salt, flag.algorithm))
            if (salt, algorithm) != (flag.salt, flag.algorithm):
                return self.keep(
                    f"{self._origin}: flags.{key}: another salt or algorithm would deal every unit again; "
                    f"put back salt {salt!a} and algorithm {algorithm!a}, or define a flag by another key"
                )
        self._identities.update((key, (flag.salt, flag.algorithm)) for key, flag in read.flags.items())
        if last.status is not SourceStatus.READY or (last.version, last.flags) != (read.version, read.flags):
            self.snapshot = Snapshot(flags=read.flags, version=read.version, origin=self._origin)
        return self.snapshot

    def back(self) -> Snapshot:
        """Say that what is in force is what is there again, after a `keep`."""
        last = self.snapshot
        if last.status is SourceStatus.STALE:
            self.snapshot = Snapshot(flags=last.flags, version=last.version, origin=self._origin)
        return self.snapshot

    def keep(self, problem: str) -> Snapshot:
        """Keep what is in force, and say why nothing newer is."""
        return self._held(SourceStatus.STALE if self.is_there else SourceStatus.ERROR, problem)

    def _held(self, status: SourceStatus, problem: str) -> Snapshot:
        last = self.snapshot
        if (last.status, last.problem) != (status, problem):
            self.snapshot = Snapshot(
                flags=last.flags, version=last.version, status=status, problem=problem, origin=self._origin
            )
        return self.snapshot
