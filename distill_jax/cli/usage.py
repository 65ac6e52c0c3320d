"""How the verbs tell a user's mistake from a bug."""

import contextlib


class UsageError(Exception):
    """Something that the user can mend; the message says how."""


@contextlib.contextmanager
def told(*kinds):
    """Turns errors that come from what the user gave into a `UsageError`."""
    try:
        yield
    except kinds as error:
        raise UsageError(str(error)) from error


def require(good, message):
    """Raises `UsageError` unless `good`."""
    if not good:
        raise UsageError(message)
