"""How the example writes its log, in one place, so that every grep of the runbook finds what it is for.

One line an event, UTC, a comma before the milliseconds: with a point, second 10 would look like a private
address (`10.`) to the runbook's quick check for personal data. Webhook lines are written by the libraries
to the loggers `webhooks` and `rollout`; nothing here adds a body, a name or an address to them.
"""

from __future__ import annotations

import logging
import time

LINE = "%(asctime)s [%(levelname)s] %(message)s"


class UtcFormatter(logging.Formatter):
    """Write `2025-11-13 14:32:15,123 [INFO] …`, in UTC whatever the host's time zone is."""

    converter = time.gmtime


def logging_to(path: str | None, *, level: str = "INFO") -> dict[str, object]:
    """Return Django's LOGGING: to the file *path*, or to standard error when there is none.

    Args:
        path: The log file; its folder must exist.
        level: The lowest level written. DEBUG also shows every event that the rollout skipped.
    """
    handler: dict[str, object] = (
        {"class": "logging.FileHandler", "filename": path, "encoding": "utf-8"}
        if path
        else {"class": "logging.StreamHandler"}
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"utc": {"()": UtcFormatter, "format": LINE}},
        "handlers": {"main": {**handler, "formatter": "utc"}},
        "loggers": {
            "webhooks": {"handlers": ["main"], "level": level, "propagate": False},
            "rollout": {"handlers": ["main"], "level": level, "propagate": False},
            "deltacrown": {"handlers": ["main"], "level": level, "propagate": False},
        },
    }
