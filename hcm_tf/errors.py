"""The one exception that a command shows as one line instead of a traceback."""


class UserError(Exception):
    """A mistake that the user can mend: the text says what, where and what to do."""
