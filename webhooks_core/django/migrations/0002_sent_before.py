"""What a row remembers beyond its attempts: that a worker died with it, and that a person put it back."""

# ruff: noqa: RUF012 - Django's own shape

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Two columns that may be empty: code of before them still writes rows."""

    dependencies = [("webhooks", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="sent_before",
            field=models.BooleanField(blank=True, null=True, verbose_name="a worker died with it"),
        ),
        migrations.AddField(
            model_name="delivery",
            name="waits_since",
            field=models.FloatField(blank=True, null=True, verbose_name="put back by a person"),
        ),
    ]
