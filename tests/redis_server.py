"""Redis for tests: where the shared one is, keys that are nobody else's, and servers of a test's own."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from webhooks_core.stores.redis_connection import CALL_SECONDS, RedisConnection

URL = os.environ.get("ROLLOUT_TEST_REDIS", "redis://127.0.0.1:6379/13")


def connection(url: str = URL, *, environment: str | None = None) -> RedisConnection:
    """A patient connection, under an environment that no other test has."""
    return patient(RedisConnection(url, environment=environment or f"test-{uuid.uuid4().hex[:16]}"))


def patient(used: RedisConnection) -> RedisConnection:
    """Lift the bound of a connection: most tests ask what is decided, not how fast a busy machine is."""
    used.call_seconds = 20.0
    used._connect_seconds = 20.0
    return used


def bounded(used: RedisConnection) -> None:
    """Put the bound of a call back, for a test that measures it."""
    used.call_seconds = CALL_SECONDS


def forget(used: RedisConnection, url: str = URL) -> None:
    """Delete the keys of *used*, and nothing else."""
    with redis.Redis.from_url(url) as client:
        keys = list(client.scan_iter(match=f"{{{used.environment}:*", count=1000))
        if keys:
            client.delete(*keys)
    used.close()


class RedisServer:
    """A redis-server process of a test's own, which may be killed and started again."""

    def __init__(self, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._options = options
        self._folder = tempfile.TemporaryDirectory()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        self._process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self._folder.name,
             "--save", "", "--appendonly", "no", *self._options],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(200):
            try:
                with redis.Redis.from_url(self.url) as client:
                    client.ping()
                return
            except redis.ConnectionError:
                time.sleep(0.02)
        raise RuntimeError("redis-server did not start")

    def kill(self) -> None:
        """`kill -9`: whatever it held is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End it and remove its folder."""
        self.kill()
        self._folder.cleanup()


@contextmanager
def own_server(*options: str) -> Iterator[RedisServer]:
    """A server for one test."""
    server = RedisServer(*options)
    try:
        server.start()
        yield server
    finally:
        server.close()
