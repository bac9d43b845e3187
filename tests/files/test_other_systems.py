"""What only some systems have stands in one place each, so that another system needs changes in few files."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import nyx
from nyx import files, locking

PACKAGE = Path(nyx.__file__).parent
POSIX_MODULES = {"fcntl", "termios", "pwd", "grp", "resource", "pty", "tty", "syslog"}
# Of the modules os and signal: the names that Python's documentation gives to Unix alone.
POSIX_NAMES = set(
    re.findall(
        r"\w+",
        """
        O_CLOEXEC O_DIRECTORY O_DSYNC O_NOCTTY O_NOFOLLOW O_NONBLOCK O_PATH O_SYNC O_TMPFILE chown chroot confstr
        eventfd fchdir fchown fdatasync fork forkpty fpathconf getgid getgroups getloadavg getpgid getpgrp
        getpriority getresuid getsid getuid geteuid getxattr initgroups killpg lchown lockf major memfd_create minor
        mkfifo mknod nice openpty pathconf pipe2 posix_fadvise posix_fallocate posix_spawn pread preadv pwrite
        pwritev readv register_at_fork sched_getaffinity sched_setaffinity sched_yield sendfile setgid setpgid
        setpriority setsid setuid setxattr splice statvfs sync sysconf tcgetpgrp ttyname uname wait wait3 wait4
        waitid writev WEXITSTATUS WIFEXITED WIFSIGNALED WTERMSIG SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE
        SIGQUIT SIGSTOP SIGTSTP SIGUSR1 SIGUSR2 SIGWINCH alarm pause pthread_kill pthread_sigmask setitimer
        siginterrupt sigpending sigtimedwait sigwait
        """,
    )
)
# Where they may stand: each has its twin, or its way without, beside it.
USES = {
    ("fcntl", "locking.py"),
    ("resource", "backends/host.py"),
    ("O_CLOEXEC", "files.py"),
    ("O_DIRECTORY", "files.py"),
    ("sched_getaffinity", "backends/kernels.py"),
}


def test_what_not_every_system_has_is_used_where_it_has_a_twin() -> None:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {(alias.name, name) for alias in node.names if alias.name in POSIX_MODULES}
            elif isinstance(node, ast.ImportFrom) and node.module in POSIX_MODULES | {"os", "signal"}:
                names = {alias.name for alias in node.names}
                found |= {(x, name) for x in names & POSIX_NAMES or {node.module} & POSIX_MODULES}
            elif (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id in ("os", "signal")
                and node.attr in POSIX_NAMES
            ):
                found.add((node.attr, name))
    assert found == USES
    assert all(hasattr(os, x) or hasattr(signal, x) for x in ("O_DIRECTORY", "pread", "SIGHUP", "sched_getaffinity"))


IMPORT_ALL = """
import importlib, pkgutil, sys
import click, numpy, numpy.random, platformdirs, psutil, pydantic, ruamel.yaml  # theirs to get along

for name in MODULES:
    sys.modules[name] = None  # an import of it is an ImportError
import nyx

names = [module.name for module in pkgutil.walk_packages(nyx.__path__, "nyx.")]
for name in names:
    importlib.import_module(name)
from nyx.backends.host import free_memory
from nyx.backends.kernels import processors
assert free_memory() > 0 and processors() > 0
print(len(names), "nyx.locking" in names, "nyx.training.trainer" in names)
"""


def test_every_module_is_imported_without_what_only_posix_has() -> None:
    source = IMPORT_ALL.replace("MODULES", repr(sorted(POSIX_MODULES)))
    result = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    count, *there = result.stdout.split()
    assert int(count) > 80 and there == ["True", "True"]


def test_a_lock_is_for_one_descriptor_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "lock").write_bytes(b"12345")
    one, two = (os.open(tmp_path / "lock", os.O_RDWR) for _ in range(2))
    assert locking.take(one) and not locking.take(two)
    assert os.read(one, 9) == os.read(two, 9) == b"12345"
    os.close(one)
    assert locking.take(two)
    assert files.lock(tmp_path / "lock") is None
    os.close(two)
