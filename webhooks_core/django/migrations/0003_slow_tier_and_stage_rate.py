"""How far a row is in the slow tier of retries; the cap that a rollout's stage puts on every endpoint."""

# ruff: noqa: RUF012 - Django's own shape

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Two columns that may be empty: code of before them still writes rows."""

    dependencies = [("webhooks", "0002_sent_before")]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="slow_retries",
            field=models.SmallIntegerField(blank=True, null=True, verbose_name="waits of the slow tier"),
        ),
        migrations.AddField(
            model_name="ratebucket",
            name="per_second",
            field=models.FloatField(
                blank=True,
                help_text="In the row without an endpoint.",
                null=True,
                verbose_name="the stage's cap",
            ),
        ),
    ]
