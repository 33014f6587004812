"""The server of all tests that do not stop theirs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from asking_twice import Asker, asker
from files_world import files_service
from service import STARTED, Service, small_service


@pytest.fixture(scope="session", autouse=True)
def _ended() -> Iterator[None]:
    yield
    for left in STARTED:
        left.stop()


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """The shipped world, served."""
    served = small_service()
    yield served
    served.stop()


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which client asks."""
    return str(request.param)


@pytest.fixture
def client(kind: str, service: Service) -> Iterator[Asker]:
    """A client of the shipped world."""
    made = asker(kind, service.url)
    yield made
    made.close()


@pytest.fixture(scope="session")
def served() -> Iterator[Service]:
    """The world of the integrations' tests."""
    files = files_service()
    yield files
    files.stop()
