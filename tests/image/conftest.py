"""The built images and the network that a booted one hangs in. `./box test image` starts this in a namespace of its own."""

import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from guest import CACHE  # noqa: E402  (the path comes first)
from lan import Lan  # noqa: E402


@pytest.fixture(scope="session")
def lan():
    with Lan() as network:
        yield network


@pytest.fixture(scope="session")
def images():
    """version -> folder of mkosi's output: IMAGES holds one folder for each."""
    folder = Path(os.environ["IMAGES"])
    return {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}


@pytest.fixture(scope="module")
def work(request):
    """A folder for one story, in the cache: what lies in it is large."""
    folder = CACHE / f"image/guests/{request.module.__name__}-work"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
