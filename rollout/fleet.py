"""The senders of a fleet, and whether all of them have stopped.

Values and one pure question. The invariant: a sender counts as stopped only when it acknowledged the epoch,
or when its lease ran out, after which it does not send by its own promise. Explained in
docs/explanation/rollout-plan.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Sender", "Stopping", "stopping"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """One process that sends, as its heartbeat row tells.

    Args:
        name: Host and process, a random part of the process's own, and version, such as
            `web-1:4711/3f9c1a2b/1.4.0`.
        epoch: The highest epoch of the flag's ceiling that it obeys; 0: none yet.
        acknowledged_at: When it first said so; epoch seconds, the store's clock.
        seen_at: When its last heartbeat was written; epoch seconds, the store's clock.
        lease_seconds: It starts no attempt when it could not write a heartbeat for this long.
        stopped_by: The file of its host that stops it whatever its epoch; empty where none does.
        seen_version: The version of the flag's state that it had seen, where it waits because the store lacks
            a decision that it has obeyed; 0 where it does not.
    """

    name: str
    epoch: int
    acknowledged_at: float
    seen_at: float
    lease_seconds: float
    stopped_by: str = ""
    seen_version: int = 0

    def is_alive(self, *, now: float) -> bool:
        """Whether it may still send: its lease has not run out."""
        return now - self.seen_at <= self.lease_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """How far a change has reached the fleet.

    Args:
        total: Senders that were alive when the change was made, or came later.
        acknowledged: Those of them that obey it.
        ran_out: Those that never said so and whose lease has run out.
        waiting_for: Names of those that are alive and have not acknowledged, sorted.
        slowest_seconds: What the slowest that acknowledged took, at most its lease; None where nobody did.
    """

    total: int
    acknowledged: int
    ran_out: int
    waiting_for: tuple[str, ...]
    slowest_seconds: float | None

    @property
    def is_complete(self) -> bool:
        """Whether nobody has to be waited for."""
        return not self.waiting_for

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON types."""
        return {
            "stopped": self.is_complete,
            "total": self.total,
            "acknowledged": self.acknowledged,
            "ran_out": self.ran_out,
            "not_reached": list(self.waiting_for),
            "slowest_seconds": self.slowest_seconds,
        }

    def __str__(self) -> str:
        done = self.acknowledged + self.ran_out
        text = f"{done} of {self.total} stopped"
        if self.slowest_seconds is not None:
            text += f", slowest {self.slowest_seconds:.1f} s"
        if self.ran_out:
            text += f", {self.ran_out} by a lease that ran out"
        if self.waiting_for:
            shown = ", ".join(self.waiting_for[:5])
            more = len(self.waiting_for) - 5
            text += f"; waiting for {shown}" + (f" and {more} more" if more > 0 else "")
        return text


def stopping(senders: Iterable[Sender], *, epoch: int, since: float, now: float) -> Stopping:
    """Say how far *epoch* has reached *senders*.

    Args:
        senders: Every heartbeat row there is; those whose lease had run out before *since* are left out.
        epoch: The change that must be acknowledged.
        since: When it was made; epoch seconds, the store's clock.
        now: Epoch seconds, the store's clock.
    """
    concerned = [sender for sender in senders if sender.is_alive(now=since)]
    acknowledged = [sender for sender in concerned if sender.epoch >= epoch]
    # Who acknowledged later than its lease was silent meanwhile, and sent nothing; or came only then.
    took = [min(max(0.0, each.acknowledged_at - since), each.lease_seconds) for each in acknowledged]
    late = [sender for sender in concerned if sender.epoch < epoch]
    return Stopping(
        total=len(concerned),
        acknowledged=len(acknowledged),
        ran_out=sum(not sender.is_alive(now=now) for sender in late),
        waiting_for=tuple(sorted(sender.name for sender in late if sender.is_alive(now=now))),
        slowest_seconds=max(took, default=None),
    )
