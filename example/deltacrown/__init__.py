"""The example project: a small tournament platform whose events become webhooks, a percentage at a time."""
