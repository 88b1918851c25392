"""A value compares, hashes and shows itself as a dataclass of the standard library does."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest

from tagger.values import dataclass


def both(**options: bool) -> list[Any]:
    """The same class made by each of the two decorators."""

    def point(decorator: Any) -> Any:
        @decorator(**options)
        class Point:
            x: int
            name: str = "origin"
            secret: str = dataclasses.field(default="hidden", repr=False)
            cache: int = dataclasses.field(default=0, compare=False)

        return Point

    return [point(decorator) for decorator in (dataclass, dataclasses.dataclass)]


FORMS: list[dict[str, bool]] = [
    {"frozen": True},
    {"frozen": True, "slots": True},
    {"slots": True},
    {"frozen": True, "slots": True, "kw_only": True},
    {"frozen": True, "slots": True, "eq": False},
]


@pytest.mark.parametrize("form", FORMS, ids=" ".join)
def test_a_value_behaves_as_a_dataclass(form: dict[str, bool]) -> None:
    def told(point: Any) -> list[object]:
        one = point(x=1)
        return [
            repr(one).rpartition(".")[2],
            one == point(x=1),
            one == point(x=2),
            one == point(x=1, cache=7),
            one == point(x=1, secret="other"),
            one == dataclasses.replace(one, name="here"),
            copy.copy(one) == one,
            dataclasses.astuple(one),
            hasattr(one, "__dict__"),
            point.__match_args__,
            point.__hash__ is None,
            point.__hash__ is object.__hash__,
        ]

    ours, theirs = both(**form)
    assert told(ours) == told(theirs)
    assert ours(x=1) != theirs(x=1)


def test_equal_values_have_the_same_hash() -> None:
    point, _ = both(frozen=True, slots=True)
    assert len({point(x=1), point(x=1, cache=7), point(x=2)}) == 2


def test_values_without_fields_are_equal() -> None:
    @dataclass(frozen=True, slots=True)
    class Nothing:
        pass

    assert Nothing() == Nothing()
    assert len({Nothing(), Nothing()}) == 1


def test_a_value_keeps_the_methods_that_it_defines() -> None:
    @dataclass(frozen=True, slots=True)
    class Named:
        name: str

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Named) and other.name.lower() == self.name.lower()

        def __hash__(self) -> int:
            return hash(self.name.lower())

        def __repr__(self) -> str:
            return "it"

    assert {Named("A")} == {Named("a")}
    assert repr(Named("A")) == "it"
