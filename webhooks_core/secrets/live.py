"""A key ring that follows its provider, so that a rotation needs no restart.

What belongs here: the ring. What must not: places (its neighbours) and signing. Invariant: what a provider
newly returns is used only when all of it can be secrets; otherwise what was good before serves on, for a day
at most. Explained in docs/how-to/keep-secrets-in-a-secrets-manager.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from webhooks_core.keys import KeyRing, Secret, SecretFormat
from webhooks_core.secrets.base import TTL_SECONDS, CachedSecrets, SecretText, Source, listed

_OWN_CACHE_SECONDS = 1.0  # before a provider that remembers by itself


class LiveKeyRing(KeyRing):
    """Hold what *provider* returns now; use it wherever a `KeyRing` is wanted.

    The provider is asked at once, then once a minute at most, by whichever thread uses the ring next. One of
    `webhooks_core.secrets` remembers by itself, and is asked each second.

    Args:
        provider: Returns a text, or texts, newest first.
        path: The name of the setting, for the error's words.
        format: How a text becomes the bytes of a key.
        monotonic: Seconds that only grow.

    Raises:
        KeyFormatError: What it returned cannot be secrets.
        Exception: Whatever the provider raised.
    """

    __slots__ = ("_cache", "_format", "_parsed", "_path", "_provider")

    def __init__(
        self,
        provider: Source,
        *,
        path: str = "WEBHOOK_SECRET",
        format: SecretFormat = SecretFormat.TEXT,
        monotonic: Callable[[], float] = time.monotonic,  # noqa: TID251 - a service's default
    ) -> None:
        self._provider = provider
        self._path = path
        self._format = format
        ttl_seconds = _OWN_CACHE_SECONDS if isinstance(provider, CachedSecrets) else TTL_SECONDS
        self._cache = CachedSecrets(self._checked, ttl_seconds=ttl_seconds, monotonic=monotonic)
        texts = self._cache()
        self._parsed = (texts, self._ring(texts))

    def __repr__(self) -> str:
        # Asks nobody, unlike the ring's own: a traceback with locals takes the repr of what it finds.
        return f"LiveKeyRing({self._path})"

    @property
    def _secrets(self) -> tuple[Secret, ...]:  # type: ignore[override]
        """What `KeyRing` holds once and for all is looked up here."""
        texts = self._cache()
        parsed = self._parsed
        if texts is not parsed[0]:
            self._parsed = parsed = (texts, self._ring(texts))
        return parsed[1]

    def _checked(self) -> tuple[SecretText, ...]:
        texts = listed(self._provider())
        self._ring(texts)
        return texts

    def _ring(self, texts: tuple[SecretText, ...]) -> tuple[Secret, ...]:
        if len(texts) == 1:
            return tuple(KeyRing.of(texts[0], path=self._path, format=self._format))
        return tuple(KeyRing.of(texts, path=self._path, format=self._format))
