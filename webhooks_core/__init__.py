"""Send signed webhooks safely, and verify them at the other end.

This is the contents page: every public noun, sorted, and where it lives. A name is imported when it is first
used (PEP 562), so that `import webhooks_core` costs next to nothing and loads nothing third-party.
Start with docs/tutorial/; docs/explanation/architecture.md has the map.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webhooks_core.breaker import BreakerPolicy as BreakerPolicy
    from webhooks_core.circuit import CircuitBreaker as CircuitBreaker
    from webhooks_core.delivery import Delivery as Delivery
    from webhooks_core.delivery import Sender as Sender
    from webhooks_core.endpoint import Endpoint as Endpoint
    from webhooks_core.engines.inline import InlineEngine as InlineEngine
    from webhooks_core.envelope import Envelope as Envelope
    from webhooks_core.envelope import seal as seal
    from webhooks_core.errors import ConfigError as ConfigError
    from webhooks_core.errors import EnvelopeError as EnvelopeError
    from webhooks_core.errors import VerificationError as VerificationError
    from webhooks_core.errors import WebhookError as WebhookError
    from webhooks_core.keys import KeyRing as KeyRing
    from webhooks_core.keys import Secret as Secret
    from webhooks_core.outcome import Outcome as Outcome
    from webhooks_core.pii import EventFields as EventFields
    from webhooks_core.receiving import Receiver as Receiver
    from webhooks_core.retry import RetryPolicy as RetryPolicy
    from webhooks_core.scheme import Scheme as Scheme
    from webhooks_core.signer import Signer as Signer
    from webhooks_core.stores.breakers import MemoryBreakerStore as MemoryBreakerStore
    from webhooks_core.stores.replay import MemoryReplayStore as MemoryReplayStore
    from webhooks_core.verifier import Verified as Verified
    from webhooks_core.verifier import Verifier as Verifier

_HOMES = {
    "BreakerPolicy": "breaker",
    "CircuitBreaker": "circuit",
    "ConfigError": "errors",
    "Delivery": "delivery",
    "Endpoint": "endpoint",
    "Envelope": "envelope",
    "EnvelopeError": "errors",
    "EventFields": "pii",
    "InlineEngine": "engines.inline",
    "KeyRing": "keys",
    "MemoryBreakerStore": "stores.breakers",
    "MemoryReplayStore": "stores.replay",
    "Outcome": "outcome",
    "Receiver": "receiving",
    "RetryPolicy": "retry",
    "Scheme": "scheme",
    "Secret": "keys",
    "Sender": "delivery",
    "Signer": "signer",
    "VerificationError": "errors",
    "Verified": "verifier",
    "Verifier": "verifier",
    "WebhookError": "errors",
    "seal": "envelope",
}

# Checkers of types see the imports above and nothing else: a name that is not there is an error to them.
if not TYPE_CHECKING:  # pragma: no branch (it always is, where it runs)
    __all__ = sorted(_HOMES)  # noqa: PLE0605 (a list; the names stand above)

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(import_module(f"{__name__}.{home}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return [*sorted(_HOMES), "__doc__", "__file__", "__name__", "__path__"]
