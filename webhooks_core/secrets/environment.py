"""Secrets in environment variables, in the order in which they are named.

The only place of this package outside its Django app that reads the environment. A process's environment does
not change while it runs, so a rotation is a restart. Explained in
docs/how-to/keep-secrets-in-a-secrets-manager.md.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from webhooks_core.errors import ConfigError
from webhooks_core.secrets.base import SecretText, parsed


class EnvironmentSecrets:
    """Read *names*, newest first; call it to get the texts.

    The first must be set. A further one that is unset or empty is left out, so that
    ``EnvironmentSecrets("WEBHOOK_SECRET", "WEBHOOK_SECRET_PREVIOUS")`` serves during a rotation and after it.
    Each holds a secret, or a JSON list of them.

    Args:
        names: Names of variables.
        environ: Where they are read.

    Raises:
        ConfigError: No name is given.
    """

    def __init__(
        self,
        *names: str,
        environ: Mapping[str, str] = os.environ,  # noqa: TID251 - what this place is
    ) -> None:
        if not names:
            raise ConfigError("names", "the name of one variable at least is wanted")
        self._names = names
        self._environ = environ

    def __call__(self) -> tuple[SecretText, ...]:
        """Return the texts, newest first.

        Raises:
            ConfigError: The first is unset or empty, or one cannot be read.
        """
        found: list[SecretText] = []
        for place, name in enumerate(self._names):
            text = SecretText(self._environ.get(name, ""))
            if text:
                found += parsed(text, path=name)
            elif place == 0:
                raise ConfigError(name, "is not set")
        return tuple(found)

    def __repr__(self) -> str:
        return f"EnvironmentSecrets{self._names!r}"
