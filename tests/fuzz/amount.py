"""How much is tried: little and always the same in the suite; much, and each time something else, when ASKED to.

`pytest tests/fuzz --hypothesis-profile=long` tries a hundred times as much; `--hypothesis-seed=N` repeats what it tried.
"""

from hypothesis import HealthCheck
from hypothesis import settings as rules

ASKED = rules.default.max_examples
IN_THE_SUITE = 100  # examples of the profile that the suite has
TIMEOUT = 120 if ASKED == IN_THE_SUITE else 0  # s; 0: none
NO_FAULTS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


def trying(count):
    """Return the decorator of a test that shall try so many examples in the suite."""
    return rules(
        max_examples=count * ASKED // IN_THE_SUITE,
        derandomize=ASKED == IN_THE_SUITE,
        suppress_health_check=NO_FAULTS,
    )
