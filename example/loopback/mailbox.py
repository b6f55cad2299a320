"""A mail server of one process: an e-mail backend that keeps what would have gone out.

Not Django's `locmem`: that one belongs to tests, and webhooks are captured beside it instead of sent.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

sent: list[EmailMessage] = []


class EmailBackend(BaseEmailBackend):
    """Append each message to `sent`."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Keep *email_messages* and return how many they were."""
        sent.extend(email_messages)
        return len(email_messages)
