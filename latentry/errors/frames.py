"""Errors that are kept: what was in memory where they were raised must not be kept with them."""

from typing import TypeVar

E = TypeVar("E", bound=BaseException)


def without_frames(error: E) -> E:
    """The error and its causes without their frames, which refer to all that was there.

    To the error itself, too, if it was put into a list where it was caught: that is a cycle.
    """
    one: BaseException | None = error
    while one is not None:
        one.__traceback__ = None
        one = one.__cause__ or one.__context__
    return error
