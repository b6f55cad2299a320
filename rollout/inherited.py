"""Which OpenFeature providers this process has from before a fork: their threads have not come along.

Most providers follow their flags in a thread or a stream. A forked child has the provider, ready and with
the flags of the moment of the fork, and nothing that ever changes them: it would answer so for ever. The
invariant: what was set before a fork is known for it in the child, unless it says `survives_fork`. And the
SDK's locks are free there, so that another can be set. Explained in docs/how-to/gate-by-another-provider.md.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from operator import attrgetter

from openfeature import api
from openfeature.provider import FeatureProvider
from openfeature.provider.in_memory_provider import InMemoryProvider
from openfeature.provider.no_op_provider import NoOpProvider

__all__ = ["follow", "is_inherited"]

# These two have no thread; by exact type, since a child of them may have one.
_THREADLESS = (InMemoryProvider, NoOpProvider)

_LOCKS = (
    ("openfeature.provider._registry", "provider_registry._lock"),
    ("openfeature._event_support", "_client_lock"),
    ("openfeature._event_support", "_global_lock"),
)

_domains: set[str | None] = set()
_before_fork: tuple[FeatureProvider, ...] = ()
_inherited: tuple[FeatureProvider, ...] = ()


def follow(domain: str | None) -> None:
    """Notice, at each fork from here on, which provider is set under *domain*; None: the default one."""
    _domains.add(domain)


def is_inherited(provider: FeatureProvider) -> bool:
    """Say whether *provider* was set before this process was forked, and may be dead in it."""
    return any(each is provider for each in _inherited)


def _note() -> None:
    """Remember what is set now: in a child it would be too late to ask under a lock that nobody releases."""
    global _before_fork  # noqa: PLW0603 (one per process, replaced in one assignment)
    found = [api.get_client(domain).provider for domain in tuple(_domains)]
    _before_fork = tuple(each for each in found if not _survives(each))


def _inherit() -> None:
    """Take in the child what the parent has noted; in the parent all of it goes on."""
    global _inherited  # noqa: PLW0603 (the same)
    _inherited = _before_fork
    # A thread that is not here may hold them. They are private: where they go by other names nothing is done.
    for module, lock in _LOCKS:
        with suppress(KeyError, AttributeError):
            attrgetter(lock)(sys.modules[module])._at_fork_reinit()


def _survives(provider: FeatureProvider) -> bool:
    try:
        return type(provider) in _THREADLESS or getattr(provider, "survives_fork", False) is True
    except Exception:  # noqa: BLE001 (anybody's code, and a hook before a fork must come to its end)
        return False


if hasattr(os, "register_at_fork"):  # pragma: no branch (Windows does not fork)
    os.register_at_fork(before=_note, after_in_child=_inherit)
