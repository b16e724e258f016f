from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orders
import pytest
from resty_ffi import Error
from resty_ffi.testing import Runtime

CFG = '{"currency": "EUR"}'
ORDER = json.dumps({"customer": "Ada", "items": [{"name": "tea", "price": "2.50", "number": 3}]})


def test_total_of_an_order() -> None:
    with Runtime(orders.init, CFG) as shop:
        assert shop.total(ORDER) == b"7.50 EUR"


def test_order_without_items_is_refused_with_the_reason() -> None:
    with Runtime(orders.init, CFG) as shop, pytest.raises(Error) as refused:
        shop.total('{"customer": "Ada", "items": []}')
    assert refused.value.rc == 422
    assert json.loads(str(refused.value.message))[0]["loc"] == ["items"]


def test_wrong_configuration_does_not_load() -> None:
    with pytest.raises(ValueError, match="currency"), Runtime(orders.init, "{}"):
        pass


def test_in_nginx(resty_ffi_nginx: Any) -> None:
    shop = resty_ffi_nginx("orders:init", cfg=CFG, folder=Path(__file__).parent)
    assert shop.post("/total", ORDER).body == b"7.50 EUR"
    assert shop.post("/total", "no order").status == 422
