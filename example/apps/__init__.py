"""The example's Django apps, where the runbook's shell snippet expects them (`apps.tournaments.models`)."""
