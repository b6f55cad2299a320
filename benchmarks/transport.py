"""One signed POST of 300 bytes to a fast receiver on loopback: ours with every guard on, beside its peers.

Run alone: `python benchmarks/transport.py [--json]`. The receiver runs in a process of its own
(`receiver.py`), the same one for all cases of a table; every case reuses its connections, sends the same
headers and body and reads the answer. Ours also builds its `Request` each time, checks the headers, judges
the address and keeps a wall-clock deadline; the peers have their per-read time-out. Session and httpx run
with `trust_env` off, as ours does: with it on they are slower.
"""

from __future__ import annotations

import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import requests
import trustme
import urllib3
from receiver import receiver
from rounds import Target, interleave, report

from webhooks_core.endpoint import AllowedNetwork, Endpoint
from webhooks_core.keys import KeyRing
from webhooks_core.transport.base import Request
from webhooks_core.transport.requests import RequestsTransport

BODY = b'{"event":"payment_verified","data":{"note":"' + b"x" * 247 + b'"},"m":1}'
HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": "DeltaCrown-Webhook/1.0",
    "X-Webhook-Event": "payment_verified",
    "X-Webhook-Id": "550e8400-e29b-41d4-a716-446655440000",
    "X-Webhook-Timestamp": "1763000000000",
    "X-Webhook-Signature": "a" * 64,
}
CALLS = 400  # per case and round; about a tenth of a second
TIMEOUT = 10.0
TARGETS = (
    Target(case="rollout-webhooks", peer="urllib3", least=0.8),
    Target(case="rollout-webhooks", peer="requests.Session", least=1.4),
)


def per_second(call: Callable[[], object], threads: int) -> float:
    """Return how many calls a second *threads* threads make together."""
    if threads == 1:
        begun = time.perf_counter()
        for _ in range(CALLS):
            call()
        return CALLS / (time.perf_counter() - begun)

    ready = threading.Barrier(threads + 1)

    def work() -> None:
        ready.wait()
        for _ in range(CALLS // threads):
            call()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    ready.wait()
    begun = time.perf_counter()
    for worker in workers:
        worker.join()
    return CALLS / (time.perf_counter() - begun)


def cases(url: str, bundle: str) -> dict[str, Callable[[], object]]:
    """Return one call of each client, every one with connections of its own."""
    endpoint = Endpoint(
        url=url,
        keys=KeyRing.of("benchmark-secret-of-more-than-32-characters"),
        ca_bundle=bundle,
        allow_networks=(AllowedNetwork.parse("127.0.0.1/32"),),
    )
    ours = RequestsTransport()
    manager = urllib3.PoolManager(maxsize=10, ca_certs=bundle)
    session = requests.Session()
    session.trust_env, session.verify = False, bundle
    client = httpx.Client(verify=ssl.create_default_context(cafile=bundle), trust_env=False, timeout=TIMEOUT)

    def rollout_webhooks() -> object:
        request = Request(url=url, headers=HEADERS, body=BODY, timeout_seconds=TIMEOUT, endpoint=endpoint)
        return ours.send(request).body

    return {
        "rollout-webhooks": rollout_webhooks,
        "urllib3": lambda: manager.request("POST", url, body=BODY, headers=HEADERS, timeout=TIMEOUT).data,
        "requests.Session": lambda: session.post(url, data=BODY, headers=HEADERS, timeout=TIMEOUT).content,
        "httpx": lambda: client.post(url, content=BODY, headers=HEADERS).content,
    }


def table(threads: int, scheme: str, folder: Path) -> bool:
    """Measure one table; return whether its targets hold."""
    bundle, certificate = str(folder / "ca.pem"), str(folder / "server.pem")
    with receiver(certificate=certificate if scheme == "https" else None) as port:
        calls = cases(f"{scheme}://127.0.0.1:{port}/hook", bundle)
        expected = {bytes(call()) for call in calls.values()}  # type: ignore[call-overload]
        assert expected == {b'{"status":"ok"}'}, expected
        figures = interleave(
            {name: lambda call=call: per_second(call, threads) for name, call in calls.items()}
        )
    title = f"{len(BODY)} B POST over {scheme}, {threads} thread{'s' if threads > 1 else ''}"
    return report(title, figures, unit="POST/s", baseline="urllib3", targets=TARGETS)


def main() -> int:
    """Print the four tables; exit status 0 when every target holds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
            str(folder / "server.pem")
        )
        held = [table(threads, scheme, folder) for scheme in ("http", "https") for threads in (1, 8)]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
