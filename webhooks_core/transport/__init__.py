"""Ways to put one attempt on the wire.

`base` holds the port: what an attempt asks and what comes back. `requests` is the one that sends, and it
loads the `requests` package, so nothing is imported here: `from webhooks_core.transport.requests import
RequestsTransport`. Explained in docs/explanation/outgoing-addresses.md.
"""

from __future__ import annotations
