"""One staged tree for the tests that read, a tree of its own for a test that changes it."""

import os
import shutil
import tempfile

import pytest

from tree import Tree, tools_tree


def _make():
    tools = tools_tree()
    # BOX_CACHE is where the tools tree can see a folder of ours.
    folder = tempfile.mkdtemp(prefix="security-", dir=os.environ["BOX_CACHE"])
    try:
        return Tree(os.path.join(folder, "root"), tools)
    except BaseException:
        shutil.rmtree(folder)
        raise


def _remove(tree):
    shutil.rmtree(tree.root.parent)


@pytest.fixture(scope="session")
def tree():
    made = _make()
    yield made
    _remove(made)


@pytest.fixture
def own_tree():
    made = _make()
    yield made
    _remove(made)
