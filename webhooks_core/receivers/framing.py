"""What the adapters share: the frame of a request, which is its method and its length.

What belongs here: the answers to a frame that cannot be, and how a handler's exception is written to a log.
What must not: any framework. The invariant: nothing here quotes what a request holds.
Explained in docs/how-to/receive-webhooks.md.
"""

from __future__ import annotations

from webhooks_core.envelope import MAX_BODY_BYTES
from webhooks_core.receiving import Answer, Receiver, answer


def describe(error: BaseException) -> str:
    """Return an exception's type and where it was raised; its text may quote the body and is left out."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return type(error).__name__
    code = traceback.tb_frame.f_code
    return f"{type(error).__name__} in {code.co_name} ({code.co_filename}:{traceback.tb_lineno})"


def method_not_allowed() -> Answer:
    """Return the answer to anything but `POST`."""
    return answer(405, {"error": "Method not allowed"}, headers=(("Allow", "POST"),))


def length_required() -> Answer:
    """Return the answer to a body whose end cannot be known."""
    return answer(411, {"error": "Content-Length required"})


def malformed_length() -> Answer:
    """Return the answer to a `Content-Length` that is no number, or that the body does not keep."""
    return answer(400, {"error": "Malformed body"})


def parse_length(text: str) -> int | None:
    """Return a `Content-Length` as a number; None where it is not 1 to 18 ASCII digits (RFC 9110, 8.6)."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None


def declared_length(receiver: Receiver, text: str) -> int | Answer | None:
    """Return what a `Content-Length` says; None where it is empty, the answer where it cannot be."""
    length = parse_length(text)
    if text and length is None:
        return malformed_length()
    return receiver.too_large() if length is not None and length > MAX_BODY_BYTES else length
