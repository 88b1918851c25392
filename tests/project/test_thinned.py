"""`make test` leaves variations to `make test-long`, and never a whole test."""

import pytest
from thinned import is_variation


@pytest.mark.parametrize("of", range(1, 12))
def test_some_variations_of_every_test_run_in_make_test(of: int) -> None:
    for name in "abcdefgh":
        run = [number for number in range(of) if not is_variation(f"tests/real/test_{name}.py::test", number, of)]
        assert of // 4 <= len(run) <= of // 4 + 1
        assert run


def test_a_test_without_services_runs_with_all_its_variations() -> None:
    assert not any(is_variation("tests/unit/test_plan.py::test", number, 9) for number in range(9))
