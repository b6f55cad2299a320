"""A secret as a setting says it: text, an ordered list of texts, or the dotted path of a provider.

A provider is imported when the settings are read and called when the endpoint is built, never by a system
check; from then on the keys follow it. Invariant: no problem and no error repeats a secret, nor what a
provider's exception says. Explained in docs/how-to/keep-secrets-in-a-secrets-manager.md.
"""

from __future__ import annotations

from django.utils.module_loading import import_string

from webhooks_core.django.values import BadValue, Reading, Spot, is_dotted_path
from webhooks_core.errors import ConfigError, KeyFormatError
from webhooks_core.keys import MIN_CHARACTERS, PUBLISHED_EXAMPLE, KeyRing, SecretFormat
from webhooks_core.secrets.live import LiveKeyRing


def read_secret(reading: Reading, spot: Spot, *, scheme: str) -> tuple[KeyRing | None, str | None]:
    """Read text, an ordered list of texts, or a dotted path: the keys, or the provider's path, or neither."""
    raw = spot.raw
    if raw is None or raw == "":
        return None, None
    if is_dotted_path(raw):
        return None, reading.value(spot, read_callable_path, default=None)
    try:
        return KeyRing.of(raw, path=spot.setting, format=SecretFormat.of(scheme)), None
    except ConfigError as error:
        reading.add(Spot(id=_secret_id(raw), setting=error.path, raw=raw), error.problem)
    return None, None


def _secret_id(raw: object) -> str:
    texts = [text for text in (raw if isinstance(raw, (list, tuple)) else [raw]) if isinstance(text, str)]
    if any(len(text) < MIN_CHARACTERS for text in texts):
        return "webhooks.E005"
    return "webhooks.E006" if any(text.lower() == PUBLISHED_EXAMPLE for text in texts) else "webhooks.E004"


def fetch(provider: str, *, setting: str, scheme: str) -> KeyRing:
    """Call a *provider* and return what it gives as keys, which follow it from then on.

    Raises:
        ConfigError: It raised, or what it returned cannot be a secret.
    """
    try:
        return LiveKeyRing(import_string(provider), path=setting, format=SecretFormat.of(scheme))
    except KeyFormatError:
        raise
    except Exception as error:  # noqa: BLE001 - anybody's code, whose text may hold the secret: only the type is told
        raise ConfigError(setting, f"its provider failed ({type(error).__name__})") from None


def read_callable_path(raw: object) -> str:
    """Read the dotted path of a callable that can be imported."""
    allowed = "must be the dotted path of a callable that can be imported"
    if not is_dotted_path(raw):
        raise BadValue(allowed)
    try:
        found = import_string(str(raw))
    except Exception as error:  # noqa: BLE001 - importing runs anybody's code; the problem tells the error's type
        raise BadValue(f"{allowed}; importing it failed ({type(error).__name__})") from None
    if not callable(found):
        raise BadValue(allowed)
    return str(raw)
