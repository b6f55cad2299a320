"""The memory of receivers that a fleet shares, in Redis.

Each method is one script, so one atomic step. Invariants: of any number of processes that claim one id,
exactly one is told NEW; when Redis does not answer nothing is handled (`StoreUnavailable`; a receiver answers
503); what may have been forgotten is not taken for new: a claim carries the moment before which Redis knows
nothing, and receivers refuse what was signed earlier. A Redis that may evict keys is refused. Explained in
docs/how-to/share-state-in-redis.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from os import urandom

from webhooks_core.errors import ConfigError, StoreUnavailable
from webhooks_core.stores.redis_connection import RedisConnection, Script, StoreClock
from webhooks_core.stores.replay import (
    LEASE_SECONDS,
    REMEMBER_SECONDS,
    SIGNATURE_SECONDS,
    Claim,
    ClaimOutcome,
    check_durations,
)

POLICY_SECONDS = 60.0
"""How often Redis is asked for its eviction policy again; each time it has restarted, too."""

_LATER_SECONDS = 60  # keys live so much longer than they count: a value says until when, to the microsecond

# All three scripts: KEYS are id, signature (the id's again where there is none) and birth; ARGV[1] is the
# caller's moment, or '' for Redis's own. The id holds "claimed TOKEN UNTIL" or "done UNTIL", the signature
# "TOKEN UNTIL LEASED" (LEASED: until when whoever brought it is at work), the birth "RUN-ID MOMENT".
_NOW = """
local time = redis.call('TIME')
local now = ARGV[1] == '' and time[1] + time[2] / 1000000 or tonumber(ARGV[1])
local function exact(number) return string.format('%.17g', number) end
"""

# ARGV: moment, token, seconds of the lease, of the signature, has one, seconds that a key lives longer.
# Another run id: Redis was restarted, or replaced by its replica, and may have lost its last moments.
_CLAIM = Script(
    _NOW
    + """
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
local born = redis.call('GET', KEYS[3])
if not born or string.match(born, '^%S*') ~= run then
  born = run .. ' ' .. exact(now)
  redis.call('SET', KEYS[3], born)
end
local birth = string.match(born, '%S+$')
local token, lease, signed, has = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local held = redis.call('GET', KEYS[1])
local owner = false
if held then
  local moment = string.match(held, '^done (%S+)$')
  if moment then
    if tonumber(moment) > now then return {'done', 0, birth, run} end
  else
    owner, moment = string.match(held, '^claimed (%S+) (%S+)$')
    if tonumber(moment) > now then return {'busy', math.ceil(tonumber(moment) - now), birth, run} end
  end
end
if has then
  local seen = redis.call('GET', KEYS[2])
  if seen then
    local by, moment, leased = string.match(seen, '^(%S+) (%S+) (%S+)$')
    if by ~= owner and tonumber(moment) > now then
      if tonumber(leased) > now then return {'busy', math.ceil(tonumber(leased) - now), birth, run} end
      return {'done', 0, birth, run}
    end
  end
end
local keep = math.ceil(math.max(lease, signed)) + tonumber(ARGV[6])
redis.call('SET', KEYS[1], 'claimed ' .. token .. ' ' .. exact(now + lease), 'EX', keep)
if has then
  redis.call('SET', KEYS[2], token .. ' ' .. exact(now + signed) .. ' ' .. exact(now + lease), 'EX', keep)
end
return {'new', 0, birth, run}
"""
)

# ARGV: moment, token, seconds to remember, has a signature, seconds that a key lives longer.
_DONE = Script(
    _NOW
    + """
local held = redis.call('GET', KEYS[1])
if not held or string.match(held, '^claimed (%S+) %S+$') ~= ARGV[2] then return 0 end
local until_ = now + tonumber(ARGV[3])
redis.call('SET', KEYS[1], 'done ' .. exact(until_), 'EX', math.ceil(tonumber(ARGV[3])) + tonumber(ARGV[5]))
if ARGV[4] == '1' then
  local seen = redis.call('GET', KEYS[2])
  local by, moment = string.match(seen or '', '^(%S+) (%S+) %S+$')
  if by == ARGV[2] then redis.call('SET', KEYS[2], by .. ' ' .. moment .. ' 0', 'KEEPTTL') end
end
return 1
"""
)

_GIVE_BACK = Script(
    _NOW
    + """
local held = redis.call('GET', KEYS[1])
if not held or string.match(held, '^claimed (%S+) %S+$') ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1])
if ARGV[4] == '1' then
  local seen = redis.call('GET', KEYS[2])
  if string.match(seen or '', '^%S+') == ARGV[2] then redis.call('DEL', KEYS[2]) end
end
return 1
"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _RedisClaim(Claim):
    """A claim that knows its signature's key, so that ending it needs no key that a script would make up."""

    signature: str | None = field(default=None, repr=False)


class RedisReplayStore:
    """Remember ids and signatures in Redis, for receivers on many hosts.

    It is as durable as that Redis is. Exactly once needs the database's store, where the handler's effect and
    *done* commit together.

    Args:
        connection: The way there.
        endpoint: Whose deliveries; each endpoint has a memory of its own.
        lease_seconds: After this time a claim that nobody ended is free again.
        remember_seconds: How long done ids are kept; at least 900.
        signature_seconds: How long signatures are kept: the verifier's window and skew together.
        clock: Whose moments count.
        new_token: A number that no other claim has.

    Raises:
        ConfigError: A number that is out of range.
    """

    def __init__(
        self,
        connection: RedisConnection,
        *,
        endpoint: str = "default",
        lease_seconds: float = LEASE_SECONDS,
        remember_seconds: float = REMEMBER_SECONDS,
        signature_seconds: float = SIGNATURE_SECONDS,
        clock: StoreClock = StoreClock.REDIS,
        new_token: Callable[[], int] = lambda: int.from_bytes(urandom(15)),
    ) -> None:
        check_durations(
            lease_seconds=lease_seconds,
            remember_seconds=remember_seconds,
            signature_seconds=signature_seconds,
        )
        self._redis = connection
        self._endpoint = endpoint
        self._birth_key = connection.key("replay", endpoint, "birth")
        self._lease = repr(float(lease_seconds))
        self._remember = repr(float(remember_seconds))
        self._signed = repr(float(signature_seconds))
        self._clock = clock
        self._new_token = new_token
        self._checked: tuple[str, float] = ("", float("-inf"))

    def claim(self, webhook_id: str, signature: str | None, *, now: float) -> Claim:
        """Take the id and the signature together, or tell who has them; see `ReplayStore.claim`.

        Raises:
            StoreUnavailable: Redis did not answer in time; whether the claim was taken is not known, and if
                it was, its lease runs out.
            ConfigError: Redis may evict keys.
        """
        if self._checked[0] == "":
            self.check()
        token = self._new_token()
        has = "0" if signature is None else "1"
        arguments = [self._moment(now), str(token), self._lease, self._signed, has, str(_LATER_SECONDS)]
        reply = self._redis.run(_CLAIM, self._keys(webhook_id, signature), arguments)
        match reply:
            case [bytes(outcome), int(wait), bytes(birth), bytes(run)]:
                pass
            case _:
                raise StoreUnavailable("Redis", "its reply is none of ours")
        claim = _RedisClaim(
            outcome=ClaimOutcome(outcome.decode()),
            webhook_id=webhook_id,
            token=token if outcome == b"new" else 0,
            retry_after_seconds=max(1, wait) if outcome == b"busy" else 0,
            not_before=float(birth),
            signature=signature,
        )
        self._check_again(run.decode())
        return claim

    def done(self, claim: Claim, *, now: float) -> bool:
        """Remember the id as handled; see `ReplayStore.done`."""
        return self._end(_DONE, claim, now=now)

    def give_back(self, claim: Claim, *, now: float) -> bool:
        """Forget the claim and its signature; see `ReplayStore.give_back`."""
        return self._end(_GIVE_BACK, claim, now=now)

    def check(self) -> None:
        """Ask Redis whether it keeps what it is given; `claim` does so by itself.

        Raises:
            ConfigError: It has an eviction policy: it may forget ids that were handled.
            StoreUnavailable: It did not answer.
        """
        policy = self._redis.info("memory").get("maxmemory_policy", "unknown")
        if policy != "noeviction":
            raise ConfigError(
                "redis",
                f'maxmemory-policy must be "noeviction", not "{policy}": the replay store may not forget ids',
            )
        run = self._redis.info("server").get("run_id", "")
        self._checked = (run, self._redis.monotonic() + POLICY_SECONDS)

    def _check_again(self, run: str) -> None:
        """Check a Redis that was restarted, or was not asked for a while.

        A claim that was just taken is lost with the error; its lease runs out.
        """
        if run != self._checked[0] or self._redis.monotonic() >= self._checked[1]:
            self.check()

    def _end(self, script: Script, claim: Claim, *, now: float) -> bool:
        if not isinstance(claim, _RedisClaim) or not claim.is_mine:
            return False
        has = "0" if claim.signature is None else "1"
        arguments = [self._moment(now), str(claim.token), self._remember, has, str(_LATER_SECONDS)]
        return self._redis.run(script, self._keys(claim.webhook_id, claim.signature), arguments) == 1

    def _moment(self, now: float) -> str:
        return "" if self._clock is StoreClock.REDIS else repr(now)

    def _keys(self, webhook_id: str, signature: str | None) -> list[str]:
        of_id = self._redis.key("replay", self._endpoint, "id", _plain(webhook_id.lower()))
        if signature is None:
            return [of_id, of_id, self._birth_key]
        of_signature = self._redis.key("replay", self._endpoint, "signature", _plain(signature))
        return [of_id, of_signature, self._birth_key]


def _plain(text: str) -> str:
    """Return what may stand in a key: a UUID or hex digits as they are, anything else by its hash."""
    if len(text) <= 64 and text.isascii() and text.replace("-", "").isalnum():
        return text
    return "sha256-" + sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
