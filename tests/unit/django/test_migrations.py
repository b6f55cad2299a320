"""The migrations are those of the models."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command


@pytest.mark.django_db
def test_no_change_of_a_model_is_without_its_migration() -> None:
    """`makemigrations --check` finds nothing to do."""
    call_command("makemigrations", "webhooks", "--check", "--dry-run", stdout=StringIO())
