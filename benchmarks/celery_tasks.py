"""One Celery task per delivery: sign, post through urllib3's pool, raise unless the answer is 200.

What a project has that sends its webhooks by a task: no outbox, no breaker, no record. Acknowledged late, so
that a worker that dies loses nothing it had taken (early is as fast). The worker writes Celery's own two
lines at INFO for each task. Names of queues and exchanges are the run's own.
"""

from __future__ import annotations

import os
import time

import urllib3
from celery import Celery
from load import EVENT, KEYS

from webhooks_core.scheme import Scheme
from webhooks_core.signer import sign

PREFIX = os.environ["BENCH_PREFIX"]
URL = os.environ["BENCH_URL"]
THREADS = int(os.environ["BENCH_THREADS"])

app = Celery("bench", broker=os.environ["BENCH_BROKER"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={"global_keyprefix": PREFIX} if "redis" in os.environ["BENCH_BROKER"] else {},
    control_exchange=PREFIX,
    event_exchange=f"{PREFIX}ev",
    task_default_queue=f"{PREFIX}idle",
    task_default_exchange=f"{PREFIX}idle",
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_hijack_root_logger=True,
)
_POOL = urllib3.PoolManager(maxsize=THREADS, retries=False)


@app.task(name="bench.deliver")
def deliver(webhook_id: str, body: str) -> None:
    raw = body.encode()
    headers = sign(
        raw,
        event=EVENT,
        webhook_id=webhook_id,
        keys=KEYS,
        scheme=Scheme.TIMESTAMPED,
        now=time.time(),
        user_agent="DeltaCrown-Webhook/1.0",
    )
    response = _POOL.request("POST", URL, body=raw, headers=headers, timeout=10)
    if response.status != 200:
        raise RuntimeError(f"answered {response.status}")
