"""What looks for modules by the name that classes carry."""

from __future__ import annotations

import copy
import copyreg
import dataclasses
import enum
import inspect
import logging
import pickle
import sys
import traceback
import typing

from features import check


@dataclasses.dataclass
class Point:
    x: int
    next: Point | None = None
    kind: typing.ClassVar[str] = "point"


class Color(enum.Enum):
    RED = 1


class Pair(typing.NamedTuple):
    left: int
    right: Point


class Base:
    def __init__(self):
        self.made = ["base"]


class Child(Base):
    def __init__(self):
        super().__init__()
        self.made.append("child")


class Registered:
    def __init__(self, number):
        self.number = number


copyreg.pickle(Registered, lambda self: (Registered, (self.number,)))


def dataclass():
    assert [field.name for field in dataclasses.fields(Point)] == ["x", "next"]
    assert dataclasses.asdict(Point(1, Point(2))) == {"x": 1, "next": {"x": 2, "next": None}}
    assert dataclasses.replace(Point(1), x=2) == Point(2)


def type_hints():
    assert typing.get_type_hints(Pair) == {"left": int, "right": Point}


def super_class():
    assert Child().made == ["base", "child"]


def pickling():
    for value in [Point(1, Point(2)), Color.RED, Pair(1, Point(2)), Point, pickling]:
        assert pickle.loads(pickle.dumps(value)) == value
        assert pickle._loads(pickle._dumps(value)) == value
    assert pickle.loads(pickle.dumps(Child())).made == ["base", "child"]


def pickling_by_copyreg():
    assert pickle.loads(pickle.dumps(Registered(4))).number == 4


def deep_copy():
    assert copy.deepcopy(Pair(1, Point(2))) == Pair(1, Point(2))


def source():
    assert inspect.getsource(Color).startswith("class Color(enum.Enum):")
    assert inspect.getmodule(Color) is sys.modules[__name__]
    assert inspect.getsourcefile(source) == __file__


def frames():
    try:
        raise ValueError
    except ValueError as error:
        (frame,) = traceback.extract_tb(error.__traceback__)
    assert (frame.filename, frame.line) == (__file__, "raise ValueError")


def logger():
    log = logging.getLogger(__name__)
    assert log.name == "features.language"
    assert log is logging.getLogger("features.language")
    parent = logging.getLogger("features")
    assert log.parent is parent
    assert parent.getChild("language") is log


init = check.entry(globals())
