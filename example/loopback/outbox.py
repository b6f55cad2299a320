"""The outbox of a rehearsal as a person sees it: what is on its way, and what `manage.py webhooks` answers.

Models are imported when they are needed, because they exist only once Django is set up.
"""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Callable

ON_THE_WAY = ("pending", "claimed")
LOOK_SECONDS = 0.02


def count(*states: str) -> int:
    """Return how many deliveries are in one of *states*; all there are when none is named."""
    from webhooks_core.django.models import Delivery

    rows = Delivery.objects.filter(state__in=states) if states else Delivery.objects.all()
    return rows.count()


def wait_until_sent(
    *,
    seconds: float,
    meanwhile: Callable[[], object] | None = None,
    give_up: Callable[[], bool] | None = None,
) -> bool:
    """Wait until nothing is on its way, and return whether that came within *seconds*.

    Args:
        meanwhile: Called between two looks.
        give_up: Ends the wait where it returns True.
    """
    deadline = time.monotonic() + seconds
    while count(*ON_THE_WAY):
        if time.monotonic() > deadline or (give_up is not None and give_up()):
            return False
        time.sleep(LOOK_SECONDS)
        if meanwhile is not None:
            meanwhile()
    return True


def breaker_is_open() -> bool:
    """Return whether the circuit breaker of any endpoint is open, by what is stored."""
    from webhooks_core.django.models import Breaker

    return Breaker.objects.filter(state="open").exists()


def command(*arguments: str) -> dict[str, object]:
    """Run `manage.py webhooks …` and return its answer."""
    (line,) = said(*arguments, "--json")
    answer: dict[str, object] = json.loads(line)
    return answer


def said(*arguments: str) -> list[str]:
    """Run `manage.py webhooks …` and return the lines it prints, wherever it prints them."""
    from django.core.management import call_command

    text = io.StringIO()
    with contextlib.suppress(SystemExit):  # an exit code other than 0 is in what it says, too
        call_command("webhooks", *arguments, stdout=text, stderr=text)
    return text.getvalue().splitlines()
