"""JSON checked by pydantic: orders that a shop may take."""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel, Field, ValidationError
from resty_ffi import Error, serve


class Item(BaseModel):
    name: str = Field(min_length=1)
    price: Decimal = Field(gt=0)
    number: int = Field(default=1, gt=0)


class Order(BaseModel):
    customer: str
    items: list[Item] = Field(min_length=1)


class Shop(BaseModel):
    """The configuration: JSON, checked when the runtime is loaded."""

    currency: str = Field(pattern="^[A-Z]{3}$")


class Orders:
    def __init__(self, cfg: Shop) -> None:
        self._currency = cfg.currency

    def total(self, request: bytes | None) -> str:
        """What an order costs; 422 and the reasons when it is none."""
        try:
            order = Order.model_validate_json(request or b"")
        except ValidationError as error:
            raise Error(422, error.json(include_url=False, include_context=False)) from None
        return f"{sum(item.price * item.number for item in order.items)} {self._currency}"


init = serve(Orders, cfg=Shop.model_validate_json)
