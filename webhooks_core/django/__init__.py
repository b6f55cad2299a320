"""The Django app that sends and receives: settings, system checks, wiring and commands.

List it in `INSTALLED_APPS`; everything else is imported from its module. `webhooks_core` never needs
`rollout`, with which it is joined in `rollout.django`. Explained in docs/reference/settings.md.
"""

from __future__ import annotations
