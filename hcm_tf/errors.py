"""The exceptions that a command does not show as a traceback."""


class UserError(Exception):
    """A mistake that the user can mend: the text says what, where and what to do."""


class Stopped(Exception):
    """A signal ended the work, after all of it was saved.

    Attributes:
        status: the exit status by which shells name the signal, 128 and its number.
    """

    def __init__(self, reason: str, number: int) -> None:
        super().__init__(reason)
        self.status = 128 + number
