"""The decorator of values: a dataclass that is made in a third of the time.

A release makes eighty of them. To compile six functions for each, as the standard library does, takes a sixth of the
time in which a release starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    import dataclasses
    from operator import attrgetter

    def dataclass(*, frozen=False, eq=True, slots=False, kw_only=False):
        """As dataclasses.dataclass, but it compiles __init__ only, and "frozen" is left to the type checker."""

        def made(cls):
            own = vars(cls).keys()
            value = dataclasses.dataclass(eq=False, repr=False, slots=slots, kw_only=kw_only)(cls)
            for name, method in _methods(value, frozen=frozen, eq=eq):
                if name not in own:
                    setattr(value, name, method)
            return value

        return made

    def _methods(cls, *, frozen, eq):
        """Yield the methods that only need to know the names of the fields."""
        fields = dataclasses.fields(cls)
        shown = [each.name for each in fields if each.repr]
        compared = [each.name for each in fields if each.compare]
        key = attrgetter(*compared) if compared else lambda _: ()

        def represent(self):
            return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

        def equal(self, other):
            return key(self) == key(other) if self.__class__ is other.__class__ else NotImplemented

        yield "__repr__", represent
        if eq:
            yield "__eq__", equal
            yield "__hash__", (lambda self: hash(key(self))) if frozen else None
