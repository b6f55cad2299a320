"""A sender tells which file of its host stops it."""

# ruff: noqa: RUF012 - Django's own shape

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the column; a sender of before leaves it empty."""

    dependencies = [("rollout", "0001_initial")]
    operations = [
        migrations.AddField(
            model_name="sender",
            name="stopped_by",
            field=models.CharField(blank=True, db_default="", default="", max_length=200),
        ),
    ]
