"""Another implementation says the same: encypher-c2pa, where it is installed (pip install).

It is no part of `make setup`: it asks for telemetry where nobody says no.
"""

from pathlib import Path

import pytest

from latentry.contracts import C2paState
from service.intake.kinds import content_type_of
from tests.marks import CASES, Authority

reader = pytest.importorskip("encypher_c2pa")

# Where it says otherwise: a manifest that it may not fetch is an invalid one to it, and it judges
# a certificate's end only where it knows the authority.
OTHERWISE = {"manifest elsewhere": C2paState.INVALID, "expired": C2paState.VALID}
STATES = {"Trusted": C2paState.TRUSTED, "Valid": C2paState.VALID, "Invalid": C2paState.INVALID}


@pytest.mark.parametrize("name", CASES)
def test_it_says_the_same_of_each_way_of_tampering(name: str, tmp_path: Path) -> None:
    own, other = (Authority.new(tmp_path / one) for one in ("own", "other"))
    picture = CASES[name].made(own, other)
    (tmp_path / "picture").write_bytes(picture)
    found = reader.verify(
        tmp_path / "picture",
        content_type_of(picture),
        trust_pem=own.root if CASES[name].trusts else None,
        no_default_trust=True,
        telemetry=False,
        online=False,
    )
    state = STATES[found["validation_state"]] if found["present"] else C2paState.NONE
    assert state is OTHERWISE.get(name, CASES[name].state), found
