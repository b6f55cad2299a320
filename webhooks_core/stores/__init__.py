"""What is remembered between requests: ids that were seen (`replay`) and the state of breakers (`breakers`).

What belongs here: one module per port, with the port and the store that keeps it in memory. What must not:
decisions; a store applies what logic decided, as one atomic step. Every store passes the suites in
webhooks_core/testing/contracts.py. Explained in docs/explanation/security-model.md.
"""

from __future__ import annotations
