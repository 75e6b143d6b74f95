"""Makes a process on Linux look like Windows or macOS to Model Maker's own modules, and to no others.

It is on the path of processes that `other_systems.run` starts, and of theirs. There, our modules get another
`__import__`: what the system lacks cannot be imported, and `sys`, `os` and a few more are stand-ins that lack what it
lacks. On Windows, files that this process has open can be neither renamed nor removed, and no folder takes the place of
another.
"""

import builtins
import errno
import importlib.abc
import importlib.machinery
import os
import pathlib
import stat
import struct
import sys
import tempfile
import types

SYSTEM = os.environ.get("PLAYED_SYSTEM", "")
OURS = ("model_maker", "benchmarks")
# What the Windows function for it gives as the most memory that this process held.
PEAK_BYTES = 300 << 20
# Windows has none of them: see "Availability" in Python's documentation of `os` and `signal`.
_UNIX_OS = (
    *("O_NONBLOCK", "WNOHANG", "chown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getloadavg", "getpgid"),
    *("getuid", "killpg", "lchown", "mkfifo", "mknod", "nice", "posix_spawn", "pread", "register_at_fork"),
    *("sched_getaffinity", "sched_setaffinity", "setsid", "statvfs", "sysconf", "uname", "wait", "wait3", "wait4"),
)
_UNIX_SIGNALS = (
    *("ITIMER_REAL", "SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU", "alarm"),
    *("setitimer", "pause"),
)
_UNIX_MODULES = ("curses", "fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty")


class Played(types.ModuleType):
    """A module that lacks some names, and has others in another way."""

    def __init__(self, real, lacks=(), **own):
        super().__init__(real.__name__)
        self.__dict__.update(own, _real=real, _lacks=lacks)

    def __getattr__(self, name):
        if name in self._lacks:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(self._real, name)

    def __setattr__(self, name, value):
        setattr(self._real, name, value)


def _windows():
    import ctypes
    import signal

    renaming = {name: _refusing(getattr(os, name)) for name in ("rename", "replace", "remove", "unlink", "rmdir")}
    for name in ("rename", "replace", "unlink", "rmdir"):
        setattr(pathlib.Path, name, _refusing(getattr(pathlib.Path, name)))
    tempfile.TemporaryDirectory.cleanup = _refusing_to_clean(tempfile.TemporaryDirectory.cleanup)
    library = types.SimpleNamespace(K32GetProcessMemoryInfo=_memory_info, GetCurrentProcess=_current_process)
    return {
        "sys": Played(sys, platform="win32"),
        "os": Played(os, _UNIX_OS, name="nt", **renaming),
        "signal": Played(signal, _UNIX_SIGNALS),
        "msvcrt": types.SimpleNamespace(LK_UNLCK=0, LK_LOCK=1, LK_NBLCK=2, locking=_locking),
        "ctypes": Played(ctypes, WinDLL={"kernel32": library}.__getitem__, CDLL=_c_library),
        **dict.fromkeys(_UNIX_MODULES),
    }


def _mac():
    import resource

    # In bytes, which elsewhere are kilobytes.
    usage = types.SimpleNamespace(ru_maxrss=PEAK_BYTES)
    limits = Played(resource, getrusage=lambda _: usage, setrlimit=_refusing_memory(resource))
    return {
        "sys": Played(sys, platform="darwin"),
        "os": Played(os, ("sched_getaffinity", "sched_setaffinity")),
        "resource": limits,
        "msvcrt": None,
    }


def _refusing_memory(resource):
    def setrlimit(kind, limits):
        if kind == resource.RLIMIT_AS:
            raise ValueError("current limit exceeds maximum limit")
        resource.setrlimit(kind, limits)

    return setrlimit


def _refusing(change):
    def changed(path, *others, **more):
        if not more.get("dir_fd"):
            _check_closed(path)
            for target in others:
                _check_closed(target)
                if os.path.isdir(target):
                    raise PermissionError(errno.EACCES, "Access is denied", os.fspath(path), None, os.fspath(target))
        return change(path, *others, **more)

    return changed


def _refusing_to_clean(cleanup):
    def cleaned(self):
        if not self._ignore_cleanup_errors:
            _check_closed(self.name)
        cleanup(self)

    return cleaned


def _check_closed(path):
    """Raises what Windows does where this process has a file open, or one in a folder."""
    path = os.path.realpath(os.fspath(path))
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            held = os.readlink(f"/proc/self/fd/{descriptor}")
            regular = stat.S_ISREG(os.stat(f"/proc/self/fd/{descriptor}").st_mode)
        except OSError:
            continue
        if regular and (held == path or held.startswith(f"{path}/")):
            raise PermissionError(errno.EACCES, "The process cannot access the file", path)


def _locking(descriptor, mode, count):
    """Locks what stands there for this one way of having it open, as Windows does.

    It is the lock of the system below, so that processes on both keep out of each other's way: they may share a cache.
    """
    import fcntl

    if os.lseek(descriptor, 0, os.SEEK_CUR) < os.fstat(descriptor).st_size:
        raise AssertionError("Windows would let nobody else read the bytes that are locked.")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_UN if mode == 0 else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PermissionError(errno.EACCES, "Permission denied") from None


def _current_process():
    return 2**64 - 1  # the handle that stands for oneself, -1 in 64 bits


def _memory_info(process, counters, size):
    """Fills PROCESS_MEMORY_COUNTERS: its size, page faults, then the peak of the working set, behind 8 bytes."""
    import ctypes

    if (process, size) != (2**64 - 1, 72):  # 2 * 4 + 8 * 8 bytes
        raise AssertionError((process, size))
    held = counters._obj
    if struct.unpack_from("I", held)[0] != size:
        raise AssertionError("cb is not the size of the structure")
    peak = int(os.environ.get("PLAYED_PEAK_BYTES", PEAK_BYTES))
    ctypes.memmove(ctypes.addressof(held) + 8, struct.pack("Q", peak), 8)
    return int(peak > 0)


def _c_library(name, *arguments, **more):
    import ctypes

    return ctypes.CDLL(None if name == "ucrtbase" else name, *arguments, **more)


def _hide_kernel():
    """Neither system has /proc and /sys."""
    for name in ("open", "read_text", "read_bytes"):
        setattr(pathlib.Path, name, _without_kernel(getattr(pathlib.Path, name)))


def _without_kernel(function):
    def called(path, *arguments, **more):
        if str(path).startswith(("/proc/", "/sys/")):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return function(path, *arguments, **more)

    return called


class Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module):
        module.__dict__["__builtins__"] = PLAYED_BUILTINS
        super().exec_module(module)


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in OURS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = Loader(spec.loader.name, spec.loader.path)
        return spec


def _import(name, globals=None, locals=None, fromlist=(), level=0):
    # From Python 3.14, the interpreter itself asks for ctypes._layout where a Structure is defined.
    if level == 0 and name != "ctypes._layout" and name.partition(".")[0] in STAND_INS:
        stand_in = STAND_INS[name.partition(".")[0]]
        if stand_in is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return stand_in
    return builtins.__import__(name, globals, locals, fromlist, level)


if SYSTEM:
    STAND_INS = {"win32": _windows, "darwin": _mac}[SYSTEM]()
    PLAYED_BUILTINS = vars(builtins) | {"__import__": _import}
    _hide_kernel()
    sys.meta_path.insert(0, Finder())
    # What `python -m` runs is not imported.
    sys.modules["__main__"].__dict__["__builtins__"] = PLAYED_BUILTINS
