"""What the places of secrets share: texts that do not show themselves, and a memory with two limits of age.

What belongs here: nothing that knows a place. Invariants: within `ttl_seconds` a place is not asked; one that
fails is covered by what it said last, for at most `stale_seconds`; one thread asks, the others go on with
what is known. Explained in docs/how-to/keep-secrets-in-a-secrets-manager.md.
"""

from __future__ import annotations

import json
import math
import threading  # noqa: TID251 - a cache's own lock
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from webhooks_core.errors import ConfigError
from webhooks_core.per_process import PerProcess

TTL_SECONDS = 60.0
"""How long after a rotation processes may go on with what they know."""

STALE_SECONDS = 86_400.0
"""How long a place may be away: a day, for an outage must not stop signing, and a withdrawn secret should."""

RETRY_SECONDS = 5.0
"""A place that failed is not asked again for so long."""

Source = Callable[[], object]
"""Returns a text, or texts in order, the newest first; asked by one thread at a time."""


class SecretText(str):
    """The text of a secret on its way to a `KeyRing`; a traceback that shows locals shows nothing."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "SecretText(…)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret cannot be pickled: hand its place over and read it there")


class CachedSecrets:
    """Remember what *source* returned; call it to get the texts, newest first.

    Args:
        source: Where the secrets are.
        ttl_seconds: For so long *source* is not asked again; 0 asks each time.
        stale_seconds: For so long, since it last answered, a source that fails is covered by that answer.
        monotonic: Seconds that only grow.

    Raises:
        ConfigError: A number is out of range.
    """

    def __init__(
        self,
        source: Source,
        *,
        ttl_seconds: float = TTL_SECONDS,
        stale_seconds: float = STALE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,  # noqa: TID251 - a service's default
    ) -> None:
        if not 0 <= ttl_seconds < math.inf:
            raise ConfigError("ttl_seconds", "0 or more is wanted")
        if not ttl_seconds <= stale_seconds < math.inf:
            raise ConfigError("stale_seconds", "ttl_seconds or more is wanted")
        self.source = source
        self._ttl_seconds = ttl_seconds
        self._stale_seconds = stale_seconds
        self._monotonic = monotonic
        self._known: tuple[SecretText, ...] | None = None
        self._read_at = -math.inf
        self._ask_at = -math.inf
        self._lock = PerProcess(threading.Lock)  # one that was held during a fork would never be released

    def __call__(self) -> tuple[SecretText, ...]:
        """Return the texts, newest first; the same tuple as long as nothing has changed.

        Raises:
            Exception: Whatever *source* raised, where nothing is known or it is too old.
        """
        now = self._monotonic()
        known = self._known
        if known is not None and now < self._ask_at:
            return known
        lock = self._lock()
        usable = known is not None and now - self._read_at <= self._stale_seconds
        if not lock.acquire(blocking=not usable):
            assert known is not None
            return known  # another thread is asking
        try:
            return self._asked(self._monotonic())
        finally:
            lock.release()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("secrets cannot be pickled: hand their place over and read them there")

    def _asked(self, now: float) -> tuple[SecretText, ...]:
        if self._known is not None and now < self._ask_at:  # the thread before us has asked
            return self._known
        try:
            found = listed(self.source())
        except Exception:
            if self._known is None or now - self._read_at > self._stale_seconds:
                raise
            self._ask_at = now + RETRY_SECONDS
            return self._known
        if found != self._known:
            self._known = found
        self._read_at, self._ask_at = now, now + self._ttl_seconds
        return self._known


def listed(found: object) -> tuple[SecretText, ...]:
    """Return one text or several, hidden, in order, each once.

    Raises:
        ConfigError: It is neither, or none at all.
    """
    secrets, kind = _hidden(found), type(found).__name__
    del found  # a traceback shows the locals of the frame that raises
    if secrets is None:
        raise ConfigError("secret", f"must be text, or a list of texts, not {kind}")
    if not secrets:
        raise ConfigError("secret", "there is none")
    return tuple(dict.fromkeys(secrets))


def parsed(text: str, *, path: str) -> Sequence[SecretText]:
    """Read what a place holds: a JSON list of texts where it begins with ``[``, otherwise one secret a line.

    Raises:
        ConfigError: It is no such list, or empty. The text is in no message and no local.
    """
    is_json = text.lstrip().startswith("[")
    found = _json_texts(text) if is_json else _hidden([line for line in text.splitlines() if line.strip()])
    del text
    if found is None:
        raise ConfigError(path, "begins with [ and is no JSON list of texts")
    if not found:
        raise ConfigError(path, "holds no secret")
    return found


def _json_texts(text: str) -> list[SecretText] | None:
    try:
        return _hidden(json.loads(text))
    except (ValueError, RecursionError):  # it holds the whole text: nobody may see it
        return None


def _hidden(found: object) -> list[SecretText] | None:
    texts = found if isinstance(found, list | tuple) else [found]
    return [SecretText(text) for text in texts] if all(isinstance(text, str) for text in texts) else None
