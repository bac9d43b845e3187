"""Files that a crash cannot tear: whoever looks finds the old content or the new, never a mix or nothing.

A file is written under a temporary name in its own folder, synced, renamed over its final name, and the folder is
synced. Whatever the operating system refuses on the way becomes one StorageError line with the path and the reason.
"""

from __future__ import annotations

import errno
import os
import platform
import secrets
import stat
import sys
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from nyx import locking
from nyx.errors import DataError, MissingInputError, NyxError, StorageError

Buffer = bytes | bytearray | memoryview
AnyPath = str | os.PathLike[str]

_TEMPORARY = f".nyx-tmp-{zlib.crc32(platform.node().encode('utf-8', 'replace')):08x}-"  # then the process and a token
_newest_temporaries: deque[str] = deque(maxlen=16)  # one a thread, the others are gone
_COPY_BYTES = 1 << 20
_ADVICE = {
    errno.ENOSPC: "free some space or choose another place",
    errno.EDQUOT: "free some of your quota or choose another place",
    errno.EROFS: "choose a place that can be written",
    errno.EACCES: "change its permissions or choose another place",
    errno.EPERM: "change its permissions or choose another place",
    errno.EIO: "check the disk or choose another place",
    errno.ENOENT: "create its folder or correct the path",
    errno.ENOTDIR: "correct the path",
    errno.EISDIR: "choose a name that is not a folder",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EFBIG: "raise the file size limit or choose another place",
}
# No hard links here: another file system, one without links, or too many of them. A copy does the same.
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


class NotAFileError(OSError):
    """There is something at a file's name, and it is no regular file."""


def show_path(path: AnyPath) -> str:
    """The path as it may stand in a one-line message: as it is when it prints, else escaped and in quotes."""
    text = os.fspath(path)
    return text if text and text.isprintable() and text == text.strip() else ascii(text)


@contextmanager
def storage_errors(action: str, path: AnyPath) -> Iterator[None]:
    """Turn an OSError inside the block into a StorageError "cannot ACTION PATH: reason; what to do"."""
    if "\0" in os.fspath(path):
        raise StorageError(f"cannot {action} {show_path(path)}: a path has no NUL character; correct the path")
    try:
        yield
    except OSError as error:
        if isinstance(error, NotAFileError):
            raise StorageError(f"cannot {action} {show_path(path)}: it is not a regular file; move it away") from error
        code = error.errno or 0
        reason = f"{os.strerror(code) if code else error} ({errno.errorcode.get(code, code)})"
        advice = _ADVICE.get(code, "choose another place")
        raise StorageError(f"cannot {action} {show_path(path)}: {reason}; {advice}") from error


def write_all(descriptor: int, data: Buffer) -> None:
    """Write every byte, however many calls it takes."""
    view = memoryview(data).cast("B") if len(data) else memoryview(b"")
    while view:
        count = os.write(descriptor, view)
        if count <= 0:
            raise OSError(errno.EIO, "nothing was written")
        view = view[count:]


def sync_folder(folder: AnyPath) -> None:
    """Make the names in a folder survive a power cut; a file system that cannot is left to its own order."""
    if sys.platform == "win32":
        return
    descriptor = os.open(os.fspath(folder) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _temporary_name(target: str) -> str:
    name = os.path.join(os.path.dirname(target), f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(6)}")
    _newest_temporaries.append(name)
    return name


def remove_own_temporaries() -> None:
    """Remove the temporary files that this process is writing now: for an end in the middle of that."""
    for name in list(_newest_temporaries):
        _remove_quietly(name)


def _remove_quietly(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)


def _refuse_special(target: str) -> None:
    """Never rename over a folder, a device or a pipe; a symbolic link is replaced, not followed."""
    try:
        mode = os.lstat(target).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise NotAFileError(errno.EINVAL, os.strerror(errno.EINVAL))


def write_atomic(path: AnyPath, data: Buffer | Iterable[Buffer], *, durable: bool = True, mode: int = 0o666) -> None:
    """Replace `path` by `data` (bytes, or an iterable of them, each written as it comes) in one step.

    durable=False leaves out the syncs: still atomic for other processes, not across a power cut. `mode` passes the
    umask. Raises StorageError; the old content then stays (only a failing sync of the folder comes after the change),
    and nothing temporary is left.
    """
    target = os.fspath(path)
    chunks = (memoryview(data),) if isinstance(data, (bytes, bytearray, memoryview)) else data
    with storage_errors("write", target):
        _refuse_special(target)
        temporary = _temporary_name(target)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), mode)
            try:
                for chunk in chunks:
                    write_all(descriptor, chunk)
                if durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.replace(temporary, target)
        except BaseException:
            _remove_quietly(temporary)
            raise
        if durable:
            sync_folder(os.path.dirname(target))


def write_text(path: AnyPath, text: str, *, durable: bool = True) -> None:
    """write_atomic of UTF-8; what cannot be encoded (bytes of a file name that are no text) is written escaped."""
    write_atomic(path, text.encode("utf-8", "backslashreplace"), durable=durable)


def _blocks(path: str) -> Iterator[bytes]:
    with open(path, "rb", buffering=0) as file:
        while block := file.read(_COPY_BYTES):
            yield block


def publish(source: AnyPath, path: AnyPath) -> None:
    """Let `path` hold what `source` holds, in one step: a second name of the same file where that works, else a copy.

    Raises StorageError; what `path` held before then stays.
    """
    origin, target = os.path.realpath(os.fspath(source)), os.fspath(path)
    with storage_errors("write", target):
        _refuse_special(target)
        if os.path.lexists(target) and not os.path.islink(target) and os.path.samefile(origin, target):
            return  # renaming one name of a file over another of its names would do nothing and leave both
        temporary = _temporary_name(target)
        try:
            os.link(origin, temporary)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            write_atomic(target, _blocks(origin), mode=stat.S_IMODE(os.stat(origin).st_mode))
            return
        try:
            os.replace(temporary, target)
        except BaseException:
            _remove_quietly(temporary)
            raise
        sync_folder(os.path.dirname(target))


def open_own(path: AnyPath, flags: int) -> int:
    """Open a file that Nyx itself writes, without following a link and without ever waiting; returns the descriptor.

    Raises OSError as os.open does; NotAFileError is one, for a link, a folder, a pipe, a socket or a device.
    """
    extra = ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_BINARY")
    for name in extra:
        flags |= getattr(os, name, 0)
    try:
        if not hasattr(os, "O_NOFOLLOW") and os.path.islink(path):
            raise NotAFileError(errno.ELOOP, "a symbolic link")
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ENXIO or (error.errno == errno.ELOOP and os.path.islink(path)):  # a socket; a link
            raise NotAFileError(error.errno, error.strerror) from None
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise NotAFileError(errno.EINVAL, os.strerror(errno.EINVAL))


def require_own(path: AnyPath) -> None:
    """Raises StorageError when there is something at the name of a file that Nyx itself writes and it is no regular
    file."""
    with storage_errors("write", path):
        _refuse_special(os.fspath(path))
        if os.path.islink(path):
            raise NotAFileError(errno.ELOOP, os.strerror(errno.ELOOP))


def read_own(path: AnyPath, limit: int) -> bytes | None:
    """What is in a file that Nyx itself writes; None when there is none.

    Raises StorageError when it is no regular file, has more than `limit` bytes, or cannot be read.
    """
    with storage_errors("read", path):
        try:
            descriptor = open_own(path, os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        with open(descriptor, "rb", buffering=0) as file:
            if os.fstat(descriptor).st_size > limit:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
            data = b""
            while block := file.read(limit + 1 - len(data)):
                data += block
            if len(data) > limit:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
            return data


def append_line(path: AnyPath, line: str, *, durable: bool = False) -> None:
    """Add one line (its newline is added here) at the end; a torn line a crash left there is ended first."""
    data = line.encode("utf-8", "backslashreplace") + b"\n"
    with storage_errors("write", path):
        descriptor = open_own(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        try:
            size = os.lseek(descriptor, 0, os.SEEK_END)
            if size and (os.lseek(descriptor, size - 1, os.SEEK_SET), os.read(descriptor, 1))[1] != b"\n":
                data = b"\n" + data
            write_all(descriptor, data)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_file(path: AnyPath) -> None:
    """Make what was appended so far survive a power cut; a file that is not there has nothing to lose."""
    with storage_errors("write", path):
        try:
            descriptor = open_own(path, os.O_RDWR)
        except FileNotFoundError:
            return
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_folder(path: AnyPath) -> None:
    """Create a folder and those above it, so that they survive a power cut; one that is there already is fine."""
    missing: list[str] = []
    head = os.fspath(path)
    while head and not os.path.isdir(head):
        missing.append(head)
        head = os.path.dirname(head)
    with storage_errors("create", path):
        for folder in reversed(missing):
            try:
                os.mkdir(folder)
            except FileExistsError:
                if not os.path.isdir(folder):
                    raise
            sync_folder(os.path.dirname(folder.rstrip(os.sep)))


def remove_stale(folder: AnyPath) -> None:
    """Remove the temporary files that processes of this machine left when they were killed. Best effort."""
    import psutil

    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        if name.startswith(_TEMPORARY):
            process = name[len(_TEMPORARY) :].partition("-")[0]
            if process.isdigit() and not psutil.pid_exists(int(process)):
                _remove_quietly(os.path.join(folder, name))


def open_input(path: AnyPath, error: type[NyxError] = DataError) -> int:
    """Open a regular file for reading, without ever waiting for a pipe; returns the descriptor.

    Raises MissingInputError when there is none or it may not be read, and `error` when it is a folder, a pipe, a
    device or a symbolic link that leads in a circle; StorageError when the disk fails.
    """
    shown = show_path(path)
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise MissingInputError(f"there is no file {shown}; correct the path") from None
    except PermissionError as reason:
        if os.path.isdir(path):  # Windows
            raise error(f"{shown} is a folder; name a file in it") from None
        raise MissingInputError(f"cannot read {shown}: {reason.strerror}; change its permissions") from None
    except OSError as reason:
        if reason.errno in (errno.ELOOP, errno.ENXIO):  # links in a circle; a socket
            raise error(f"{shown} is not a regular file ({reason.strerror}); name one that is") from None
        raise StorageError(f"cannot read {shown}: {reason.strerror}; check the disk and the path") from None
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    kind = "a folder; name a file in it" if stat.S_ISDIR(mode) else "not a regular file; name one that is"
    raise error(f"{shown} is {kind}")


def lock(path: AnyPath) -> int | None:
    """Take the lock that this file stands for: a descriptor to keep open, or None when another process has it.

    The system frees it when the process ends, however it ends. Raises StorageError when the file cannot be opened.
    """
    with storage_errors("lock", path):
        descriptor = open_own(path, os.O_RDWR | os.O_CREAT)
        taken = False
        try:
            taken = locking.take(descriptor)
        finally:
            if not taken:
                os.close(descriptor)
        return descriptor if taken else None
