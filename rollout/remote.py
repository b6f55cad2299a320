"""Flags that another OpenFeature provider owns, under our kill switch, master switch and ceiling.

LaunchDarkly, flagd, Unleash: what stands behind an OpenFeature client answers whether a unit is in, and our
controls stand above it. The invariants: only the value True is on, and only of a provider that is ready; a
provider is not asked where our own controls have already said no; a slow one costs its time-out and no more;
nothing raises into the caller. Explained in docs/how-to/gate-by-another-provider.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from openfeature import api
from openfeature.evaluation_context import EvaluationContext, EvaluationContextAttribute

from rollout.asking import Asker, Hanging
from rollout.controls import KillSwitch, always_on, no_ceilings
from rollout.decision import Decision, ErrorCode, Reason
from rollout.errors import ConfigError
from rollout.evaluator import failure
from rollout.events import Observer
from rollout.flags import Flag, FlagKey
from rollout.inherited import follow, is_inherited
from rollout.live import LiveFlags
from rollout.percentage import EVERYBODY, POSITIONS, Percentage
from rollout.provided import Provided
from rollout.remote_answer import Answer, judged, mapped, off, recorded
from rollout.remote_question import Said, put
from rollout.remote_stale import Staleness
from rollout.sources.memory import MappingSource

__all__ = ["MAX_TIMEOUT_SECONDS", "Remote", "RemoteFlags", "local_flags"]

#: What the caller may wait, at most: a time-out is no place to hide a slow network.
MAX_TIMEOUT_SECONDS = 5.0
# A snapshot may be 30 s old (the contract §3), and so may what a provider has that lost its server.
MAX_STALE_SECONDS = 30.0
# A sender that has not confirmed the flag's state for longer waits instead of sending.
STRICTLY_STALE_SECONDS = 2.0

_Ask = Callable[[], Said]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """Which provider is asked, and how.

    Args:
        flags: The flags it owns: their names there by our keys.
        domain: The OpenFeature domain that the provider is set under; None: the default provider.
        unit: The name of what is asked about; its id is the targeting key, and an attribute by this name.
        timeout_seconds: How long an answer may take, above 0 and at most 5; None: ask on the calling thread
            and wait for ever, for a provider that answers from memory.
        stale_seconds: How long a provider that says it is stale is still believed, 0 to 30. Before sending it
            is 2 s at most.
        names: Their names of attributes by ours.
        fixed: Attributes that go with every question, such as `{"kind": "tournament"}`.

    Raises:
        ConfigError: One of them is out of range, or no flag is named.
    """

    flags: Mapping[FlagKey, str]
    domain: str | None = None
    unit: str = "tournament_id"
    timeout_seconds: float | None = 0.1
    stale_seconds: float = MAX_STALE_SECONDS
    names: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, EvaluationContextAttribute] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.flags:
            raise ConfigError("flags", "must name at least one flag")
        if self.timeout_seconds is not None and not 0 < self.timeout_seconds <= MAX_TIMEOUT_SECONDS:
            raise ConfigError(
                "timeout_seconds", f"must be above 0 and at most {MAX_TIMEOUT_SECONDS:g} seconds"
            )
        if not 0 <= self.stale_seconds <= MAX_STALE_SECONDS:
            raise ConfigError("stale_seconds", f"must be from 0 to {MAX_STALE_SECONDS:g} seconds")


def local_flags(remote: Remote) -> MappingSource:
    """Return the flags as they stand here: everybody, as far as the other side goes along."""
    ours = {str(key): Flag(key=key, percentage=EVERYBODY, unit=remote.unit) for key in remote.flags}
    return MappingSource(ours, origin=f"openfeature:{remote.domain or 'default'}")


class RemoteFlags(LiveFlags):
    """Answer by another OpenFeature provider, as far as our own controls let it.

    The flag counts as 100 % here, so that a ceiling below that still holds units back by their positions: a
    guarded rollout goes its stages whatever the other side says.

    Args:
        remote: Which provider is asked, and how.
        provided: What makes and sets the provider, and is asked until it has; None: somebody else sets it.
        kill: As for `LiveFlags`, and so are *master*, *ceilings*, *refresh_seconds*, *monotonic*, *observer*.

    Raises:
        ConfigError: *refresh_seconds* is out of range.
    """

    __slots__ = ("_ask", "_client", "_provided", "_remote", "_staleness")

    def __init__(
        self,
        remote: Remote,
        *,
        provided: Provided | None = None,
        kill: KillSwitch | None = None,
        master: Callable[[], bool | None] = always_on,
        ceilings: Callable[[], Mapping[FlagKey, Percentage]] = no_ceilings,
        refresh_seconds: float = 0.25,
        monotonic: Callable[[], float] = time.monotonic,
        observer: Observer | None = None,
    ) -> None:
        super().__init__(
            local_flags(remote),
            kill=kill,
            master=master,
            ceilings=ceilings,
            refresh_seconds=refresh_seconds,
            monotonic=monotonic,
            observer=observer,
        )
        self._remote = remote
        self._client = api.get_client(remote.domain)
        follow(remote.domain)
        self._provided = provided
        self._ask: Callable[[_Ask], Said] = (
            _directly if remote.timeout_seconds is None else Asker(remote.timeout_seconds)
        )
        self._staleness = Staleness(self._client, remote.flags.values(), monotonic)

    def close(self) -> None:
        """Hear no more of the provider, and set none. Whoever asks is still answered, by looking."""
        self._staleness.close()
        if self._provided is not None:
            self._provided.give_up()

    @property
    def may_wait(self) -> bool:
        """Whether an answer may have to be waited for: always, so that no event loop is stopped for it."""
        return True

    def decide(self, key: str, unit: object, attributes: Mapping[str, object] | None = None) -> Decision:
        """Decide by our controls, and then by the other provider. Never raises."""
        local = super().decide(key, unit, attributes)
        if not local.value or local.reason is Reason.STATIC:  # stopped here, or overridden by a test
            return local
        most = self._remote.stale_seconds
        return _decision(local, self._answer(key, local.unit, attributes, most=most))

    def is_on(self, key: str, unit: object) -> bool:
        """Say whether *unit* is in, without attributes."""
        return self.decide(key, unit).value

    def decide_strict(self, key: str, unit: object, *, admitted_by: Reason | None = None) -> Decision:
        """Decide again, before an attempt: our controls and the other provider, both right now. Never raises.

        Args:
            admitted_by: The reason of the decision by which the delivery was recorded. TARGETING_MATCH: by
                attributes that are not known any more, and not by the unit alone, so that of the other
                provider's answer only counts that it has one, and that the flag is not disabled there.
        """
        local = super().decide_strict(key, unit)
        if not local.value or local.reason is Reason.STATIC:
            return local
        most = min(self._remote.stale_seconds, STRICTLY_STALE_SECONDS)
        answer = self._answer(key, local.unit, None, most=most, alone=True)
        is_known = answer.reason not in (Reason.ERROR, Reason.STALE, Reason.DISABLED)
        if admitted_by is Reason.TARGETING_MATCH and is_known:
            answer = Answer(True, admitted_by, None, f"admitted by {admitted_by}")  # noqa: FBT003
        return _decision(local, answer)

    def resolve(
        self, key: str, unit: object, attributes: Mapping[str, object] | None = None
    ) -> tuple[Decision, Flag | None]:
        """Decide as `decide` does; the values of a flag that another owns are not known here."""
        try:
            if attributes and self._remote.unit in attributes:
                unit = attributes[self._remote.unit]
        except Exception as error:  # noqa: BLE001 (whatever attributes do: off, and the decision says what)
            return failure(key, error), None
        return self.decide(key, unit, attributes), None

    def _answer(
        self,
        key: str,
        unit: str,
        attributes: Mapping[str, object] | None,
        *,
        most: float,
        alone: bool = False,
    ) -> Answer:
        remote = self._remote
        try:
            if self._provided is not None and not self._provided.is_set():
                return off(ErrorCode.PROVIDER_NOT_READY, "the provider is not set yet")
            if is_inherited(self._client.provider):
                return off(
                    ErrorCode.PROVIDER_NOT_READY, "the provider was set before a fork, and may follow nothing"
                )
            theirs = remote.flags[FlagKey(key)]
            own = EvaluationContext(unit, {**remote.fixed, remote.unit: unit})
            more = None if alone else mapped(attributes or {}, names=remote.names)
            begun = self._monotonic()
            said = self._ask(lambda: self._put(theirs, own, more))
            stale_for = self._staleness.seconds(theirs, said, begun=begun)
            answer = judged(said.details, said.status, stale_for=stale_for, most=most)
            return recorded(answer, by_attributes=said.by_attributes)
        except Hanging as error:
            return off(ErrorCode.GENERAL, str(error))
        except Exception as error:  # noqa: BLE001 (whatever a provider, a hook or an attribute does: off)
            return off(ErrorCode.GENERAL, f"{type(error).__name__} while asking")

    def _put(
        self, flag: str, own: EvaluationContext, more: Mapping[str, EvaluationContextAttribute] | None
    ) -> Said:
        self._staleness.hear()
        return put(self._client, flag, own, more)


def _directly(ask: _Ask) -> Said:
    return ask()


def _decision(local: Decision, answer: Answer) -> Decision:
    """Return our decision with the other provider's answer in it."""
    threshold = None if local.threshold == POSITIONS else local.threshold
    return local._replace(
        value=answer.value,
        variant="on" if answer.value else "off",
        reason=answer.reason,
        error_code=answer.code,
        detail=answer.detail,
        threshold=threshold,
    )
