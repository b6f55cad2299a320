"""The way to Redis that the stores share: one pool for each process, one script a call, a bound on its time.

What lives here: connections, time-outs, keys. What must not: what a script does. Invariants: a call ends
within `CALL_SECONDS`, whatever Redis or the network does, and is never made twice; nothing is opened before
the first call, and a fork opens its own; a script's source is fixed, values reach it as KEYS and ARGV only;
every key names the environment and has one hash tag. Explained in docs/how-to/share-state-in-redis.md.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from hashlib import sha1

import redis
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection, ConnectionPool
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

from webhooks_core.errors import ConfigError, StoreUnavailable
from webhooks_core.per_process import PerProcess

CALL_SECONDS = 0.1
"""The contract §7: the last known state answers within 100 ms."""

CONNECT_SECONDS = 0.03
"""For each of connecting, TLS and log-in, so that a call that has to do all that keeps its bound too."""

REST_SECONDS = 0.25
"""After a call that failed nobody tries again for so long: what is away stays away for a moment."""

_LEAST_SECONDS = 0.005  # less than a round trip: not worth beginning
_ENVIRONMENT = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")

Reply = bytes | int | None | list["Reply"]
"""What a script returns."""


class StoreClock(StrEnum):
    """Say whose clock a store goes by."""

    REDIS = "redis"
    """Redis's own (`TIME`): one clock for the whole fleet."""

    CALLER = "caller"
    """The `now` of each call: for suites and simulations."""


class Script:
    """A Lua script: fixed text, known to Redis by its digest."""

    __slots__ = ("digest", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self.digest = sha1(source.encode("ascii"), usedforsecurity=False).hexdigest()


class RedisConnection:
    """Reach one Redis.

    Args:
        url: `redis://`, `rediss://` or `unix://`, password and database in it. It is never shown.
        environment: Prefix of every key: a-z 0-9 _ -, at most 32.
        call_seconds: Bound of one call, connecting included; at most 0.1.
        monotonic: Seconds that only grow.

    Raises:
        ConfigError: The URL or the name is none.
    """

    def __init__(
        self,
        url: str,
        *,
        environment: str,
        call_seconds: float = CALL_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if not _ENVIRONMENT.fullmatch(environment):
            raise ConfigError('WEBHOOKS["ENVIRONMENT"]', "must be a name of a-z 0-9 _ -, at most 32")
        if not 0 < call_seconds <= CALL_SECONDS:
            raise ConfigError("call_seconds", f"must be above 0, and at most {CALL_SECONDS}")
        self.environment = environment
        self.call_seconds = call_seconds
        self.monotonic = monotonic
        self._connect_seconds = min(CONNECT_SECONDS, call_seconds * 0.3)
        self._url = url
        self._pool: PerProcess[ConnectionPool] = PerProcess(self._new_pool, close=ConnectionPool.disconnect)
        self._rest_until = float("-inf")
        self._new_pool()  # opens nothing; an address that is none is told here, and not at the first call

    def __repr__(self) -> str:
        return f"RedisConnection(environment={self.environment!r})"

    def key(self, kind: str, tag: str, *parts: str) -> str:
        """Return a key; all keys of one *kind* and *tag* lie in one slot of a cluster.

        A tag of an id that an operator chose: no brace can be in it, so that there is one hash tag.
        """
        if "{" in tag or "}" in tag:
            raise ConfigError("endpoint", "must hold no brace")
        return ":".join((f"{{{self.environment}:{kind}:{tag}}}", *parts))

    def run(
        self, script: Script, keys: Sequence[str], arguments: Sequence[str], *, seconds: float | None = None
    ) -> Reply:
        """Run *script* once and return its reply.

        Args:
            script: Known to Redis by its digest; sent in full where Redis has forgotten it.
            keys: KEYS.
            arguments: ARGV.
            seconds: Less than `call_seconds`, where the caller has spent some of them.

        Raises:
            StoreUnavailable: No answer in time, or one that is an error. The script may have run.
        """
        deadline = self.monotonic() + min(self.call_seconds, seconds or self.call_seconds)
        return self._run(script, (str(len(keys)), *keys, *arguments), deadline)

    def run_each(self, script: Script, calls: Sequence[tuple[str, Sequence[str]]]) -> list[Reply]:
        """Run *script* once for each of *calls*, a key and its ARGV, and return the replies in their order.

        Two round trips for all of them, and one bound of `call_seconds`.

        Raises:
            StoreUnavailable: As for `run`; any of them may have run.
        """
        deadline = self.monotonic() + self.call_seconds
        first, *others = (("1", key, *arguments) for key, arguments in calls)
        replies = [self._run(script, first, deadline)]  # from here on Redis knows the script
        return replies + self._guarded([("EVALSHA", script.digest, *values) for values in others], deadline)

    def info(self, section: str) -> dict[str, str]:
        """Return one section of Redis's `INFO`.

        Raises:
            StoreUnavailable: As for `run`.
        """
        (reply,) = self._guarded([("INFO", section)], self.monotonic() + self.call_seconds)
        text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else ""
        found = (line.partition(":") for line in text.split("\r\n"))
        return {name: value for name, colon, value in found if colon}

    def close(self) -> None:
        """Let go of the connections of this process; the next call opens new ones."""
        self._pool.forget()

    def _run(self, script: Script, values: tuple[str, ...], deadline: float) -> Reply:
        try:
            (reply,) = self._answers([("EVALSHA", script.digest, *values)], deadline)
        except NoScriptError:
            (reply,) = self._guarded([("EVAL", script.source, *values)], deadline)
        return reply

    def _guarded(self, commands: Sequence[tuple[str, ...]], deadline: float) -> list[Reply]:
        try:
            return self._answers(commands, deadline)
        except NoScriptError as error:
            raise StoreUnavailable("Redis", type(error).__name__) from None

    def _answers(self, commands: Sequence[tuple[str, ...]], deadline: float) -> list[Reply]:
        if self.monotonic() < self._rest_until:
            raise StoreUnavailable("Redis", "did not answer a moment ago")
        try:
            return self._exchange(commands, deadline) if commands else []
        except NoScriptError:
            raise
        except (RedisError, OSError) as error:
            self._rest_until = self.monotonic() + REST_SECONDS
            # The text of an error may name hosts and users; its type says enough.
            raise StoreUnavailable("Redis", type(error).__name__) from None

    def _exchange(self, commands: Sequence[tuple[str, ...]], deadline: float) -> list[Reply]:
        pool = self._pool()
        connection = pool.get_connection()
        try:
            if deadline - self.monotonic() < _LEAST_SECONDS:
                raise redis.TimeoutError("connecting took too long")
            packed = connection.pack_commands(commands)  # type: ignore[no-untyped-call]
            connection.send_packed_command(packed, check_health=False)  # type: ignore[no-untyped-call]
            return [self._reply(connection, deadline) for _ in commands]
        except BaseException as error:
            # An answer that is still on its way must never be taken for that of the next command.
            if not isinstance(error, NoScriptError) or len(commands) > 1:
                connection.disconnect()  # type: ignore[no-untyped-call]
            raise
        finally:
            pool.release(connection)

    def _reply(self, connection: AbstractConnection, deadline: float) -> Reply:
        left = deadline - self.monotonic()
        if left <= 0:
            raise redis.TimeoutError("the answers took too long")
        reply: Reply = connection.read_response(timeout=left)
        return reply

    def _new_pool(self) -> ConnectionPool:
        problem = ConfigError("redis", "must be an address redis://, rediss:// or unix://")
        try:
            pool = ConnectionPool.from_url(self._url, protocol=2)
        except (ValueError, TypeError, AttributeError):
            raise problem from None
        # After what the address says: these bounds are no option.
        pool.connection_kwargs |= {
            "socket_timeout": self._connect_seconds,
            "socket_connect_timeout": self._connect_seconds,
            "retry": Retry(NoBackoff(), 0),
            "retry_on_error": [],
            "retry_on_timeout": False,
            "health_check_interval": 0,
            "decode_responses": False,
            "driver_info": None,  # no CLIENT SETINFO: two round trips less
        }
        try:
            pool.connection_class(**pool.connection_kwargs)  # opens nothing; an option that it does not know
        except (ValueError, TypeError, RedisError):
            raise problem from None
        return pool
