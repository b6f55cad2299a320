"""Adapters that let a web framework hand its requests to a `Receiver`; import the one you use.

What belongs here: one module per framework (`wsgi`, `django`, `flask`, `fastapi`). What must not: any check
of a request beyond what the framework itself makes necessary (method, length); every decision about a
delivery is made in receiving.py.
Explained in docs/how-to/receive-webhooks.md.
"""

from __future__ import annotations
