"""A project folder of its own for each test, as root and as a normal user."""

import os
from collections.abc import Iterator

import pytest

from tests.local.project import Project, initialised_project, make_project

ACCOUNTS = ["root", "user"] if os.geteuid() == 0 else ["user"]


@pytest.fixture(params=ACCOUNTS)
def project(request: pytest.FixtureRequest) -> Iterator[Project]:
    """Give a project with a database and without a server, of root and of a normal user."""
    made = initialised_project(request.param)
    yield made
    made.clean()


@pytest.fixture(params=ACCOUNTS)
def new_project(request: pytest.FixtureRequest) -> Iterator[Project]:
    """Give a project that never had a server, of root and of a normal user."""
    made = make_project(request.param)
    yield made
    made.clean()


@pytest.fixture
def new_user_project() -> Iterator[Project]:
    """Give a project of a normal user that never had a server."""
    made = make_project("user")
    yield made
    made.clean()


@pytest.fixture(scope="module", params=ACCOUNTS)
def served(request: pytest.FixtureRequest) -> Iterator[Project]:
    """Give a project whose server runs, for the tests that only look."""
    made = make_project(request.param)
    started = made.onetrip("local", "start")
    assert started.returncode == 0, started.stderr
    yield made
    made.clean()


@pytest.fixture
def user_project() -> Iterator[Project]:
    """Give a project of a normal user, with a database and without a server."""
    made = initialised_project("user")
    yield made
    made.clean()


@pytest.fixture
def root_project() -> Iterator[Project]:
    """Give a project of root; only root can test what root's server does."""
    if os.geteuid() != 0:
        pytest.skip("what root's server does can be tested by root only")
    made = initialised_project("root")
    yield made
    made.clean()
