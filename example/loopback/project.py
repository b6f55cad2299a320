"""The example project in a temporary folder: its database, its flag file, its kill file and its log.

`prepare` must run before any model is imported. The secret reaches the process through the environment and
is never printed.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

FLAG = "tournament-webhooks"


@dataclass(slots=True, kw_only=True)
class FlagFile:
    """The flag file of a run; editing it is how the percentage is changed."""

    path: Path
    version: int = field(default=0)

    def write(self, percentage: str) -> int:
        """Put *percentage* into the file, whole or not at all, and return the file's new version."""
        self.version += 1
        flags = {FLAG: {"percentage": percentage, "unit": "tournament_id"}}
        text = json.dumps({"schema": 1, "version": self.version, "flags": flags}, indent=2)
        draft = self.path.with_suffix(".new")
        draft.write_text(text + "\n", encoding="utf-8")
        draft.replace(self.path)
        return self.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Where the files of a run are."""

    folder: Path
    flags: FlagFile

    @property
    def log(self) -> Path:
        """The sender's log."""
        return self.folder / "deltacrown.log"

    @property
    def kill_file(self) -> Path:
        """Being there stops every send."""
        return self.folder / "kill"

    @property
    def trip_file(self) -> Path:
        """Written where personal data was found; being there stops every send, too."""
        return self.folder / "kill.trip"


def prepare(
    folder: Path, *, endpoint: str, secret: str, percentage: str, environment: dict[str, str] | None = None
) -> Project:
    """Configure Django for a run in *folder* and migrate its database.

    Args:
        folder: An empty directory; whoever made it removes it.
        endpoint: Where webhooks go.
        secret: At least 32 characters.
        percentage: What the flag file says at first, "0" to "100".
        environment: Further settings by name, e.g. `{"WEBHOOK_TIMEOUT": "1"}`.
    """
    project = Project(folder=folder, flags=FlagFile(path=folder / "flags.json"))
    project.flags.write(percentage)
    os.environ.update(
        {
            "DJANGO_SETTINGS_MODULE": "deltacrown.settings.demo",
            "DEMO_FOLDER": str(folder),
            "WEBHOOK_ENDPOINT": endpoint,
            "WEBHOOK_SECRET": secret,
            **(environment or {}),
        }
    )
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    return project
