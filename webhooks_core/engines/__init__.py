"""Where deliveries run: `base` has the port, `inline` runs them in the calling thread.

Nothing is imported here; name the engine you want. Explained in docs/explanation/delivery-guarantees.md.
"""

from __future__ import annotations
