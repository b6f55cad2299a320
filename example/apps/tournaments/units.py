"""The units of the rollout: every tournament's id, for "how many are in" and "who is gained or lost"."""

from __future__ import annotations

from collections.abc import Iterator

from apps.tournaments.models import Tournament


def tournament_ids() -> Iterator[int]:
    """Yield the id of every tournament, in order, without loading them all at once."""
    return Tournament.objects.order_by("pk").values_list("pk", flat=True).iterator(chunk_size=2000)
