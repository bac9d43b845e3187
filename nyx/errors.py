"""The error types and their exit codes (sysexits numbers where one fits). Every error a user can cause is one of
these."""

from __future__ import annotations


class NyxError(Exception):
    """Base of every error Nyx raises on purpose: one line that says what to do next, and an exit code."""

    exit_code = 1


class UsageError(NyxError):
    """The command line does not make sense."""

    exit_code = 64


class DataError(NyxError):
    """A corpus, a prompt or another input file has bad content."""

    exit_code = 65


class CheckpointError(NyxError):
    """A checkpoint is damaged, or does not fit what was asked of it."""

    exit_code = 65


class MissingInputError(NyxError):
    """A named input file is not there."""

    exit_code = 66


class DeviceError(NyxError):
    """The device that was asked for is not there or cannot be used."""

    exit_code = 69


class DeviceMemoryError(NyxError):
    """The device or the host has not enough memory."""

    exit_code = 71


class RunDirectoryError(NyxError):
    """The run directory is in use by another process or cannot be created."""

    exit_code = 73


class StorageError(NyxError):
    """A file cannot be written: disk full, read-only, I/O error."""

    exit_code = 74


class DeviceLostError(NyxError):
    """The device was lost or hangs; the run can be resumed from its last checkpoint."""

    exit_code = 75


class DivergenceError(NyxError):
    """A loss, gradient or parameter is not finite."""

    exit_code = 76


class ConfigError(NyxError):
    """The configuration has an unknown key, a wrong type or a value out of range."""

    exit_code = 78


class Stopped(NyxError):
    """A signal ended the training after it was saved; the exit code is 128 plus the signal's number."""

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signum


class ShapeError(NyxError):
    """An operation got shapes it cannot work on: "[operation] the rule, and the shapes that came"."""


class ProgramError(NyxError):
    """A Program is put together in a way that cannot work."""
