"""Events for Kafka: an async producer, which sends what comes together in one batch."""

from __future__ import annotations

import json
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from resty_ffi import Error, serve


class Events:
    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    async def publish(self, request: bytes | None) -> str:
        """Returns when the broker has the event: its partition and offset."""
        try:
            kept = await self._producer.send_and_wait(self._topic, request)
        except KafkaError as error:
            raise Error(503, f"not published: {error}") from error
        return json.dumps([kept.partition, kept.offset])

    async def aclose(self) -> None:
        """Sends what is still on its way."""
        await self._producer.stop()


async def make(cfg: Any) -> Events:
    """cfg: {"brokers": "host:port", "topic": name}."""
    producer = AIOKafkaProducer(
        bootstrap_servers=cfg["brokers"], linger_ms=5, enable_idempotence=True
    )
    try:
        await producer.start()
    except BaseException:
        await producer.stop()
        raise
    return Events(producer, cfg["topic"])


init = serve(make, cfg=json.loads)
