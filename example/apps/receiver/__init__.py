"""The other end: verifies what arrives. Runs in a process of its own with `deltacrown.settings.receiver`."""
