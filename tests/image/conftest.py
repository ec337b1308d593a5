"""The built images and the network that a booted one hangs in. `./box test image` starts this in a namespace of its own."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from lan import Lan  # noqa: E402  (the path comes first)


@pytest.fixture(scope="session")
def lan():
    with Lan() as network:
        yield network


@pytest.fixture(scope="session")
def images():
    """version -> folder of mkosi's output: IMAGES holds one folder for each."""
    folder = Path(os.environ["IMAGES"])
    return {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}
