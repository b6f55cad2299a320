"""Receive a delivery from end to end: verify it, claim its id, hand it on, answer.

What belongs here: the order of the contract §5 and the answers of every adapter. What must not: frameworks
(receivers/), and how anything is checked (verifier.py) or remembered (stores/replay.py). The invariant: only
a request whose signature holds touches the replay store; whoever claimed ends the claim, with *done* after
the handler returned or by giving it back; an answer never tells more than a short text. Explained in
docs/how-to/receive-webhooks.md.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from webhooks_core import standard
from webhooks_core.envelope import MAX_BODY_BYTES
from webhooks_core.errors import BodyTooLarge, Duplicate, StoreUnavailable, VerificationError
from webhooks_core.events import (
    SIGNATURE_SHOWN,
    DuplicateSeen,
    Fact,
    HandlerFailed,
    Observer,
    Received,
    ReceivedHeaders,
    Rejected,
    SignatureChecked,
    emit,
)
from webhooks_core.signer import EVENT, SIGNATURE, TIMESTAMP, WEBHOOK_ID
from webhooks_core.stores.replay import Claim, ClaimOutcome, EffectStore, ReplayStore
from webhooks_core.verifier import Headers, Verified, Verifier

STORE_RETRY_AFTER_SECONDS = 5
"""What a sender is asked to wait when the replay store cannot be reached."""

Handler = Callable[[Verified], object]
"""What the application does with a delivery; what it returns is not looked at, what it raises is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Hold what an adapter sends back.

    Attributes:
        status: The HTTP status.
        body: One small JSON object.
        headers: Pairs of name and value, `Content-Type` and `Content-Length` included.
        error: What the handler raised, where it did; for the adapter's error report, never for the sender.
    """

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]
    error: Exception | None = None


def answer(
    status: int,
    content: Mapping[str, str],
    *,
    headers: tuple[tuple[str, str], ...] = (),
    error: Exception | None = None,
) -> Answer:
    """Write *content* as JSON into an `Answer`."""
    body = json.dumps(content).encode("ascii")
    fixed = (("Content-Type", "application/json"), ("Content-Length", str(len(body))))
    return Answer(status=status, body=body, headers=(*fixed, *headers), error=error)


class Receiver:
    """Receive the deliveries of one endpoint.

    *Exactly once* needs more than this: the handler's effect and *done* must commit in one database
    transaction. With a store of its own memory the effect happens at least once, and twice only when the
    process dies between the effect and *done*, or a handler takes longer than the lease (15 s) while the
    sender tries again. An `EffectStore` (`webhooks_core.django.stores.replay.DatabaseReplayStore`) keeps its
    claims in the handler's own database, and commits both together.

    Args:
        verifier: Checks the request.
        store: Remembers ids; None remembers nothing, so that a handler must bear the same id twice.
        handler: Called once for each delivery, with a signature that holds.
        observer: Told every fact (docs/reference/log-lines.md).
        clock: Seconds since the epoch, UTC.
    """

    def __init__(
        self,
        verifier: Verifier,
        store: ReplayStore | None,
        handler: Handler,
        *,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._verifier = verifier
        self._store = store
        self._handler = handler
        kept: object = store  # any store may have what a port of its own asks for
        self._effects = kept if isinstance(kept, EffectStore) else None
        self._observer = observer
        self._clock = clock

    def receive(self, headers: Headers, body: bytes) -> Answer:
        """Return the answer to one request; nothing that came in makes it raise.

        A handler's exception is in the answer (`Answer.error`) and told as a fact; what is no `Exception`
        (an interrupt, an exit) goes on its way after the claim was given back.

        Args:
            headers: All headers of the request, names in any case.
            body: The raw bytes; an adapter stops reading after `MAX_BODY_BYTES` + 1.
        """
        try:
            now = self._clock()
            verified = self._verify(headers, body, now)
            claim = self._claim(verified, now)
        except VerificationError as error:
            return self.refuse(error)
        except Exception as error:  # noqa: BLE001 - the store's; told as a fact, the sender asks again
            return self._store_failed(error)
        try:
            is_done = self._handled(verified, claim)
        except BaseException as error:
            self._end(claim, handled=False)
            if not isinstance(error, Exception):
                raise
            self._tell(
                HandlerFailed(
                    event=verified.event, webhook_id=verified.webhook_id, error=type(error).__name__
                )
            )
            return answer(500, {"error": "Handler failed"}, error=error)
        if not is_done:
            self._end(claim, handled=True)
        return answer(200, {"status": "received"})

    def refuse(self, error: VerificationError) -> Answer:
        """Return the answer to a request that is not accepted, and tell it as a fact."""
        if not isinstance(error, Duplicate):
            self._tell(Rejected(reason=error.text))
            return answer(error.status, {"error": error.text})
        self._tell(DuplicateSeen(webhook_id=error.webhook_id))
        if error.retry_after_seconds is None:
            return answer(error.status, {"status": "duplicate"})
        return _later("being handled right now", error.retry_after_seconds)

    def too_large(self) -> Answer:
        """Return the answer to a body that an adapter did not read to its end."""
        return self.refuse(BodyTooLarge(MAX_BODY_BYTES))

    def _verify(self, headers: Headers, body: bytes, now: float) -> Verified:
        if self._observer is not None:
            headers = headers if isinstance(headers, Mapping) else _listed(headers)
            self._tell(_shown(headers))
        verified = self._verifier.verify(headers, body, now=now)
        self._tell(Received(event=verified.event, webhook_id=verified.webhook_id))
        self._tell(SignatureChecked(age_seconds=verified.age_seconds))
        return verified

    def _claim(self, verified: Verified, now: float) -> Claim | None:
        if self._store is None:
            return None
        # Without a signed timestamp two equal bodies have one signature: only the id tells them apart.
        signature = verified.signature if verified.timestamp_ms is not None else None
        claim = self._store.claim(verified.webhook_id, signature, now=now)
        if claim.outcome is ClaimOutcome.NEW:
            if verified.timestamp_ms is not None and verified.timestamp_ms / 1000 < claim.not_before:
                # It may have been handled before the store lost its data. A sender comes back with a new
                # timestamp; a captured request cannot.
                self._store.give_back(claim, now=now)
                raise StoreUnavailable("replay store", "knows nothing of the time before this was signed")
            return claim
        busy = claim.outcome is ClaimOutcome.BUSY
        raise Duplicate(
            verified.webhook_id, retry_after_seconds=max(1, claim.retry_after_seconds) if busy else None
        )

    def _handled(self, verified: Verified, claim: Claim | None) -> bool:
        """Let the handler act; return whether *done* has committed with its effect."""
        if claim is None or self._effects is None:
            self._handler(verified)
            return False
        with self._effects.handling(claim, clock=self._clock):
            self._handler(verified)
        return True

    def _end(self, claim: Claim | None, *, handled: bool) -> None:
        """End the claim. A store that fails here changes no answer: what the handler did is done."""
        if self._store is None or claim is None:
            return
        end = self._store.done if handled else self._store.give_back
        try:
            end(claim, now=self._clock())
        except Exception as error:  # noqa: BLE001 - told as a fact; the lease runs out by itself
            self._store_failed(error)

    def _store_failed(self, error: Exception) -> Answer:
        problem = error.problem if isinstance(error, StoreUnavailable) else type(error).__name__
        self._tell(Rejected(reason=f"Replay store unavailable: {problem}"))
        return _later("try again later", STORE_RETRY_AFTER_SECONDS)

    def _tell(self, fact: Fact) -> None:
        emit(self._observer, fact)


def _later(problem: str, seconds: int) -> Answer:
    return answer(503, {"error": problem}, headers=(("Retry-After", str(seconds)),))


def _listed(headers: Iterable[tuple[str | bytes, str | bytes]]) -> Headers:
    """Return pairs that can be read twice; what is no pairs at all is left for the verifier to refuse."""
    try:
        return tuple(headers)
    except TypeError:
        return headers


def _shown(headers: Headers) -> ReceivedHeaders:
    """Return the four headers as a fact may show them: the signature cut, what is no text left out."""
    found: dict[str, str] = {}
    try:
        for name, value in headers.items() if isinstance(headers, Mapping) else headers:
            if isinstance(name, str) and isinstance(value, str):
                found[name.lower()] = value
    except (TypeError, ValueError):
        found = {}
    signature = found.get(SIGNATURE.lower(), found.get(standard.SIGNATURE))
    return ReceivedHeaders(
        signature=None if signature is None else signature[:SIGNATURE_SHOWN],
        timestamp=found.get(TIMESTAMP.lower(), found.get(standard.TIMESTAMP)),
        webhook_id=found.get(WEBHOOK_ID.lower(), found.get(standard.ID)),
        event=found.get(EVENT.lower()),
    )
