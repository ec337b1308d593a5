"""What is the image made of?  Read by `image/lock.py` and `image/sbom.py`; nothing here writes."""

import argparse


class Unknown(Exception):
    """Something that must be known is not; the message says what, and how to make it known."""


def named(text):
    """An option's SET=PATH."""
    name, equals, path = text.partition("=")
    if not equals or not path:
        raise argparse.ArgumentTypeError(f"`{text}` is not SET=PATH")
    return name, path
