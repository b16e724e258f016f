from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import events
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError
from kafka_broker import Broker
from resty_ffi.testing import Runtime


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


def configuration(brokers: str, topic: str) -> str:
    return json.dumps({"brokers": brokers, "topic": topic})


async def consume(broker: Broker, topic: str, number: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=broker.address, auto_offset_reset="earliest"
    )
    async with consumer:
        return [(await consumer.getone()).value for _ in range(number)]


def test_published_event_has_an_offset(broker: Broker) -> None:
    with Runtime(events.init, configuration(broker.address, "orders")) as producer:
        assert producer.publish("first") == b"[0, 0]"
        assert producer.publish("second") == b"[0, 1]"


def test_broker_that_is_away_fails_the_load() -> None:
    cfg = configuration("127.0.0.1:1", "orders")
    with pytest.raises(KafkaConnectionError), Runtime(events.init, cfg):
        pass


def test_requests_become_events(broker: Broker, resty_ffi_nginx: Any) -> None:
    cfg = configuration(broker.address, "requests")
    gateway = resty_ffi_nginx("events:init", cfg=cfg, folder=Path(__file__).parent)
    sent = [b"event %d" % number for number in range(100)]
    with ThreadPoolExecutor(10) as clients:
        statuses = [answer.status for answer in clients.map(publisher(gateway), sent)]
    assert statuses == [200] * len(sent)
    assert sorted(asyncio.run(consume(broker, "requests", len(sent)))) == sorted(sent)


def publisher(gateway: Any) -> Any:
    return lambda event: gateway.post("/publish", event)
