"""The suite of the port `SendPermit`: "may this be sent now?"; see `contracts/__init__` for how to run it.

Invariant: only the three verdicts are asked for, and what a sender makes of each; why a permit says what it
says is its own business.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

from webhooks_core.delivery import Delivery, Permit, PermitVerdict, Sender, SendPermit
from webhooks_core.endpoint import Endpoint
from webhooks_core.keys import KeyRing
from webhooks_core.settlement import SettlementKind
from webhooks_core.stores.breakers import MemoryBreakerStore
from webhooks_core.testing.transport import FakeTransport

NOW = 1_763_000_000.0
_KINDS = {
    PermitVerdict.SEND: SettlementKind.DELIVERED,
    PermitVerdict.HOLD: SettlementKind.HELD,
    PermitVerdict.WAIT: SettlementKind.WAITING,
}


class SendPermitContract(ABC):
    """What a permit must do."""

    verdicts: tuple[PermitVerdict, ...] = tuple(PermitVerdict)
    """Those that it can say; leave out what yours never does."""

    @abstractmethod
    def make_permit(self, verdict: PermitVerdict) -> SendPermit:
        """Return the permit, its world being such that it says *verdict* to `delivery()`.

        Called again in the same test it changes the world; what it returned before goes by the new one.
        """

    def delivery(self) -> Delivery:
        """Return what the permit is asked about; override it where yours wants more of it."""
        return Delivery(
            webhook_id="550e8400-e29b-41d4-a716-446655440000",
            event="payment_verified",
            body=b'{"event":"payment_verified","data":{"tournament_id":101},"metadata":{}}',
            created_at=NOW,
            unit="101",
        )

    def test_a_permit_says_send_hold_or_wait(self) -> None:
        """And the same when it is asked again: asking changes nothing."""
        for verdict in self.verdicts:
            permit = self.make_permit(verdict)

            answers = [permit(self.delivery()) for _ in range(3)]

            assert all(isinstance(answer, Permit) for answer in answers)
            assert [answer.verdict for answer in answers] == [verdict] * 3

    def test_nothing_is_sent_without_a_send(self) -> None:
        """HOLD is kept for a person, WAIT is asked again; neither opens a connection."""
        for verdict in self.verdicts:
            transport = FakeTransport()
            sender = Sender(
                transport, MemoryBreakerStore(), permit=self.make_permit(verdict), clock=lambda: NOW
            )

            settlement = sender.attempt(self.delivery(), _endpoint())

            assert settlement.kind is _KINDS[verdict]
            assert len(transport.sent) == (verdict is PermitVerdict.SEND)

    def test_what_is_not_sent_has_a_reason(self) -> None:
        """One line for people, without anything of the body."""
        for verdict in self.verdicts:
            answer = self.make_permit(verdict)(self.delivery())

            assert answer.reason.isprintable()
            assert "tournament_id" not in answer.reason
            assert verdict is PermitVerdict.SEND or answer.reason

    def test_a_delivery_that_knows_nothing_of_the_gate_is_answered_too(self) -> None:
        """Rows of before the gate, or of somebody else's: an answer, whatever it is, and no error."""
        bare = replace(self.delivery(), unit=None, admitted_by=None)
        odd = replace(self.delivery(), unit="\x00", admitted_by="no reason of any gate")
        permit = self.make_permit(self.verdicts[0])

        answers = [permit(bare), permit(odd)]

        assert {type(answer) for answer in answers} == {Permit}

    def test_it_is_asked_before_each_attempt(self) -> None:
        """A change of mind between two attempts stops the second one."""
        if {PermitVerdict.SEND, PermitVerdict.HOLD} <= set(self.verdicts):
            transport = FakeTransport([503, 200])
            permit = self.make_permit(PermitVerdict.SEND)
            sender = Sender(transport, MemoryBreakerStore(), permit=permit, clock=lambda: NOW)
            first = sender.attempt(self.delivery(), _endpoint())
            self.make_permit(PermitVerdict.HOLD)

            second = sender.attempt(first.delivery, _endpoint())

            assert (first.kind, second.kind) == (SettlementKind.RETRYING, SettlementKind.HELD)
            assert len(transport.sent) == 1


def _endpoint() -> Endpoint:
    return Endpoint(url="https://receiver.example/in", keys=KeyRing.of("an example secret, 32 chars or more"))
