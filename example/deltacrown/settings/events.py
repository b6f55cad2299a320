"""What each event may carry: identifiers, counts and nothing else.

A field that is not listed blocks the delivery and says which one it was; a field with personal data in it
blocks the delivery before anything is stored or sent. `recipient_count` says how many people were told,
never who they are.
"""

from __future__ import annotations

_TOURNAMENT = {"tournament_id": "integer", "recipient_count": "count"}
_MATCH = {**_TOURNAMENT, "match_id": "integer"}
_DISPUTE = {**_MATCH, "dispute_id": "integer"}

EVENTS: dict[str, dict[str, object]] = {
    "payment_verified": {**_TOURNAMENT},
    "payment_rejected": {**_TOURNAMENT},
    "match_scheduled": {**_MATCH},
    "match_started": {**_MATCH},
    "result_submitted": {**_MATCH},
    "result_confirmed": {**_MATCH},
    "dispute_created": {**_DISPUTE},
    "dispute_resolved": {**_DISPUTE},
    "tournament_starting": {**_TOURNAMENT},
    "tournament_completed": {**_TOURNAMENT},
}
