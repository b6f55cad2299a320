"""Every error of this package, in one tree: catch `WebhookError` and nothing of ours escapes.

What belongs here: the classes, the facts they carry and their words. What must not: any decision that
raises one. The invariant: no message, attribute or `repr` holds a secret, a body or personal data; a place
is named by a path.
Explained in docs/explanation/security-model.md.

    WebhookError
    ├ ConfigError (path, problem) ─ KeyFormatError
    ├ EnvelopeError (path, problem)
    ├ VerificationError (text, status) ─ BodyTooLarge, MissingHeader, MalformedHeader, MalformedBody,
    │                                    TimestampTooOld, TimestampTooNew, SignatureInvalid, Duplicate
    ├ AddressBlocked (host, rule)
    ├ TransportError ─ ConnectFailed, TlsFailed, TimedOut, ResponseBroken
    ├ BreakerOpen (endpoint, retry_at)
    └ StoreUnavailable (store, problem)
"""

from __future__ import annotations

from typing import ClassVar


class WebhookError(Exception):
    """Be the root: everything this package raises on purpose is one of these."""


class ConfigError(WebhookError):
    """Say that a setting cannot be used; fix the setting, never catch this to go on.

    Args:
        path: Where the value stands, e.g. ``WEBHOOKS["ENDPOINTS"]["eu"]["URL"]``.
        problem: What is wrong and what is allowed; never the value of a secret.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, str]]:
        return type(self), (self.path, self.problem)


class KeyFormatError(ConfigError):
    """Say that a text cannot serve as a secret (too short, not text, a published example …)."""


class EnvelopeError(WebhookError):
    """Say that an event cannot be written as an envelope; nothing was stored or sent.

    Args:
        path: The place inside the envelope, e.g. ``data.players[3].name``.
        problem: What is wrong there; the type of a value, never the value.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem

    def __reduce__(self) -> tuple[type[EnvelopeError], tuple[str, str]]:
        return type(self), (self.path, self.problem)


class VerificationError(WebhookError):
    """Say why a received request is not accepted; always raised as one of the children.

    Attributes:
        text: The short text of the contract §5, safe to send back to anybody.
        status: The HTTP status that the adapters answer with.
    """

    text: ClassVar[str] = "Webhook refused"
    status: ClassVar[int] = 400

    def __init__(self, detail: str = "") -> None:
        super().__init__(f"{self.text}: {detail}" if detail else self.text)

    def __reduce__(self) -> tuple[object, ...]:
        # The children's arguments are facts, not the message: a copy is made of what is there already.
        return _revived, (type(self), self.args, vars(self))


def _revived(
    kind: type[VerificationError], args: tuple[object, ...], facts: dict[str, object]
) -> VerificationError:
    error = kind.__new__(kind, *args)
    vars(error).update(facts)
    return error


class BodyTooLarge(VerificationError):
    """Say that the body is larger than allowed; it was not hashed.

    Args:
        max_bytes: The largest body that is accepted.
    """

    text = "Body too large"
    status = 413

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"more than {max_bytes} bytes")
        self.max_bytes = max_bytes


class MissingHeader(VerificationError):
    """Say that a header of the scheme is not there; no weaker scheme is tried in its place.

    Args:
        header: The header's name, as the contract §4 writes it.
    """

    text = "Missing header"

    def __init__(self, header: str) -> None:
        super().__init__(header)
        self.header = header


class MalformedHeader(VerificationError):
    """Say that a header does not have the one form that the wire allows.

    Args:
        header: The header's name, or ``headers`` when the whole collection cannot be read.
        problem: What is allowed there; never the value.
    """

    text = "Malformed header"

    def __init__(self, header: str, problem: str) -> None:
        super().__init__(f"{header}: {problem}")
        self.header = header
        self.problem = problem


class MalformedBody(VerificationError):
    """Say that a body, though its signature holds, is not one strict JSON object.

    Args:
        problem: What is wrong; never a part of the body.
    """

    text = "Malformed body"

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class TimestampTooOld(VerificationError):
    """Say that the attempt was signed longer ago than the replay window; check both clocks.

    Args:
        age_seconds: Now minus the timestamp.
        tolerance_seconds: The window; an age equal to it is still good.
    """

    text = "Timestamp too old"
    status = 401

    def __init__(self, *, age_seconds: float, tolerance_seconds: float) -> None:
        super().__init__(f"{age_seconds:g} s old, {tolerance_seconds:g} s are allowed")
        self.age_seconds = age_seconds
        self.tolerance_seconds = tolerance_seconds


class TimestampTooNew(VerificationError):
    """Say that the attempt claims to be signed later than the skew allows; check both clocks.

    Args:
        age_seconds: Now minus the timestamp; negative.
        tolerance_seconds: The skew; a timestamp exactly so far ahead is still good.
    """

    text = "Timestamp in future"
    status = 401

    def __init__(self, *, age_seconds: float, tolerance_seconds: float) -> None:
        super().__init__(f"{-age_seconds:g} s ahead, {tolerance_seconds:g} s are allowed")
        self.age_seconds = age_seconds
        self.tolerance_seconds = tolerance_seconds


class SignatureInvalid(VerificationError):
    """Say that no secret made this signature, or that the headers are not those of the signed body.

    Args:
        keys_tried: How many secrets were compared with the signature.
        problem: Which comparison failed, for logs and tests; the answer to the sender never tells.
    """

    text = "Invalid signature"
    status = 401

    def __init__(self, *, keys_tried: int, problem: str = "no secret matches") -> None:
        super().__init__(f"{problem} ({keys_tried} tried)")
        self.keys_tried = keys_tried
        self.problem = problem


class Duplicate(VerificationError):
    """Say that this id, or this signature, was seen before: handled, or being handled right now.

    Args:
        webhook_id: The delivery's id, as its header gave it.
        retry_after_seconds: When the claim of whoever handles it now runs out; None when it was handled.
    """

    text = "Duplicate webhook (replay detected)"
    status = 200

    def __init__(self, webhook_id: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__()
        self.webhook_id = webhook_id
        self.retry_after_seconds = retry_after_seconds


class AddressBlocked(WebhookError):
    """Say that a URL leads to an address that webhooks must never reach; it was not connected to.

    Args:
        host: The host as the URL names it.
        rule: The name of the rule that refused it.
    """

    def __init__(self, host: str, rule: str) -> None:
        super().__init__(f"{host} is blocked by the rule {rule}")
        self.host = host
        self.rule = rule

    def __reduce__(self) -> tuple[type[AddressBlocked], tuple[str, str]]:
        return type(self), (self.host, self.rule)


class TransportError(WebhookError):
    """Say that no usable HTTP response came back; always raised as one of the children.

    Args:
        problem: What happened, in our words; never a URL, an address, a header or a body.
        phase: Where it happened: ``dns``, ``connect``, ``proxy``, ``tls``, ``send``, ``headers``, ``body``;
            or empty when that is not known.
    """

    def __init__(self, problem: str = "no usable HTTP response came back", *, phase: str = "") -> None:
        super().__init__(problem)
        self.phase = phase


class ConnectFailed(TransportError):
    """Say that no connection came about: a name that does not resolve, a refused or reset connection."""


class TlsFailed(TransportError):
    """Say that TLS could not be agreed on: certificate, host name, protocol."""


class TimedOut(TransportError):
    """Say that the attempt's wall-clock time ran out."""


class ResponseBroken(TransportError):
    """Say that a connection stood, and what came back is not a whole HTTP response."""


class BreakerOpen(WebhookError):
    """Say that an endpoint's circuit breaker refuses for now; the delivery waits and spends no attempt.

    Args:
        endpoint: The endpoint's id.
        retry_at: Epoch seconds at which an attempt may be admitted again.
    """

    def __init__(self, endpoint: str, retry_at: float) -> None:
        super().__init__(f"the circuit breaker of endpoint {endpoint} is open until {retry_at:.3f}")
        self.endpoint = endpoint
        self.retry_at = retry_at

    def __reduce__(self) -> tuple[type[BreakerOpen], tuple[str, float]]:
        return type(self), (self.endpoint, self.retry_at)


class StoreUnavailable(WebhookError):
    """Say that a shared store did not answer in time; a receiver answers 503, a breaker goes on alone.

    Args:
        store: Which one, e.g. ``Redis``.
        problem: What happened; never an address, a user or a password.
    """

    def __init__(self, store: str, problem: str) -> None:
        super().__init__(f"{store} is not available: {problem}")
        self.store = store
        self.problem = problem

    def __reduce__(self) -> tuple[type[StoreUnavailable], tuple[str, str]]:
        return type(self), (self.store, self.problem)
