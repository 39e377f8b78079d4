"""Owns the errors that a user can put right: shown as one message, without a trace."""


class LocalError(Exception):
    """The message says what is wrong and what to do."""
