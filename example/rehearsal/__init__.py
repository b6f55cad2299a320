"""The demo's chapters: the percentage raised, a receiver that is ill, personal data, replays, stopping."""
