"""Casts that tests share, as keys and a hundred identities take a while, and how an error is asked for."""

from typing import NoReturn

import pytest
import tenseal

from fedlab_nb.errors import EncryptionError
from tests.crypto.common import KINDS, Cast, Round


@pytest.fixture(scope="session")
def make_cast():
    """The cast of a scheme, the same one every time."""
    made: dict[object, Cast] = {}

    def make(scheme) -> Cast:
        if scheme not in made:
            made[scheme] = Cast(scheme)
        return made[scheme]

    return make


@pytest.fixture
def only_tags(monkeypatch):
    """Nobody vouches for sums: as when an owner lies for the server, so that only the tags are left."""
    monkeypatch.setattr("fedlab_nb.crypto.keys.check_vouched", lambda *_: None)


@pytest.fixture
def refuses():
    """Check that a call is refused in three whole sentences that match; gives the text."""

    def check(match, call, *args, **settings) -> str:
        with pytest.raises(EncryptionError, match=match) as caught:
            call(*args, **settings)
        assert all(clause.endswith(".") for clause in (caught.value.what, caught.value.why, caught.value.do))
        return str(caught.value)

    return check


@pytest.fixture
def close_tenseal(monkeypatch):
    """From the call on, no ciphertext may reach TenSEAL."""

    def reached(*_) -> NoReturn:
        pytest.fail("TenSEAL was reached")

    def close() -> None:
        monkeypatch.setattr(tenseal, "ckks_vector_from", reached)
        monkeypatch.setattr(tenseal, "bfv_vector_from", reached)

    return close


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def one(request, make_cast) -> Round:
    """A round that everybody has sealed for, with each kind of ciphertexts."""
    return Round(make_cast(request.param))
