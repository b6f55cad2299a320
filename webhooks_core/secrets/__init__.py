"""Where secrets are kept: providers that return an ordered list of texts, newest first.

Give the dotted path of one to `WEBHOOK_SECRET` (or to an endpoint's `SECRET`), or hand what it returns to
`KeyRing.of`. What belongs here: one module per place. What must not: what is signed. Invariant: no secret is
in any `repr`, error or log. Explained in docs/how-to/keep-secrets-in-a-secrets-manager.md.
"""

from __future__ import annotations

import importlib

_HOMES = {
    "AwsSecretsManager": "aws",
    "CachedSecrets": "base",
    "EnvironmentSecrets": "environment",
    "FileSecrets": "file",
    "LiveKeyRing": "live",
    "SecretText": "base",
}

__all__ = [
    "AwsSecretsManager",
    "CachedSecrets",
    "EnvironmentSecrets",
    "FileSecrets",
    "LiveKeyRing",
    "SecretText",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
