"""One box for all tests that do not break it; coroutine tests run in a loop of their own."""

import asyncio
import inspect
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))

from boxkit import Box  # noqa: E402  (the path comes first)
from livekit_sip import LiveKitSipBox  # noqa: E402

LIMIT = 120


@pytest.fixture(scope="session")
def box(request):
    """Ours; with the parameter `livekit-sip` one whose calls LIVEKIT_SIP_BIN carries."""
    with LiveKitSipBox() if getattr(request, "param", None) else Box() as running:
        yield running


@pytest.fixture
def own_tenant(box):
    """The shared box with nothing in it: as the admin of a new tenant sees it."""
    return box.tenant()


@pytest.fixture
def own_box():
    """A maker of boxes for one test: `own_box("--without", "redis")`."""
    made = []

    def make(*options):
        made.append(Box(*options))
        return made[-1]

    make.boxes = made
    yield make
    for one in made:
        one.stop()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    given = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**given), LIMIT))
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """What the daemons said goes with a failure."""
    report = yield
    if report.when == "call" and report.failed:
        for value in item.funcargs.values():
            for one in [value] if isinstance(value, Box) else getattr(value, "boxes", []):
                report.sections.append(("the daemons' last lines", one.tails()))
    return report
