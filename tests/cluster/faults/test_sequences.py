"""Any sequence of jobs, faults, crashes and clocks: every job ends in one right record, every attempt is made once."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cluster.faults.faulty import FAULTS
from tests.cluster.faults.play import WATCHES, Deed, Play

EXAMPLES = int(os.environ.get("SEQUENCE_EXAMPLES", "25"))
# How often each happens, beside the others.
KINDS = [
    *["look"] * 6,
    *["go_on"] * 6,
    *["watch"] * 3,
    *["submit"] * 2,
    *["crash"] * 2,
    *["cancel", "retry", "delete", "fail", "forget", "shift"],
]
# Mostly one call fails somewhere among some that work; sometimes all do.
faults = st.one_of(
    st.just(()),
    st.tuples(st.integers(0, 4), st.sampled_from(sorted(FAULTS))).map(lambda at: ("fine",) * at[0] + (at[1],) * 2),
    st.lists(st.sampled_from(sorted(FAULTS)), max_size=6).map(tuple),
)
deeds = st.builds(
    Deed,
    kind=st.sampled_from(KINDS),
    target=st.integers(0, 5),
    faults=faults,
    watch=st.sampled_from(sorted(WATCHES)),
    minutes=st.integers(-30, 30),
)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
@given(st.lists(deeds, min_size=25, max_size=50))
def test_any_sequence(migrated: Path, sequence: list[Deed]) -> None:
    play = Play(migrated)
    with play.open:
        for deed in [Deed("submit"), Deed("submit"), Deed("look"), *sequence]:
            play.do(deed)
            play.check()
        play.finish()
        play.check_end()
