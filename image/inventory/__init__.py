"""What is the image made of?  Read by `image/lock.py` and `image/sbom.py`; nothing here writes."""


class Unknown(Exception):
    """Something that must be known is not; the message says what, and how to make it known."""
