"""A project as a user writes one. Checked by mypy, never run: each call says what it must come out as."""
