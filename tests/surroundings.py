"""What a process that runs tests inherits, made the same however it was started: in a shell's background, by another
user's shell, from a cron job, in a terminal, with a proxy."""

import os
import signal
import sys

# What leads to programs, folders and packages, and what asks something of the tests. All else would ask it of the code.
KEPT = {
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TEMP", "TMP", "LD_LIBRARY_PATH", "VIRTUAL_ENV"),
    *("PYTHONDONTWRITEBYTECODE", "PYTHONUTF8", "PYENV_ROOT", "PLAYWRIGHT_BROWSERS_PATH", "XDG_CACHE_HOME"),
    *("CI", "CUT_LINKS", "TEST_DATABASE_URL", "DJANGO_SETTINGS_MODULE"),
    *("APPDATA", "COMSPEC", "LOCALAPPDATA", "PATHEXT", "SYSTEMDRIVE", "SYSTEMROOT", "USERPROFILE", "WINDIR"),
}
KEPT_FAMILIES = ("PYTEST_", "COV_", "COVERAGE_")
SAME_FOR_ALL = {
    "LC_ALL": "C.UTF-8",
    "NETRC": os.devnull,  # whoever has a password for localhost would send it to every site of the tests
    "PGPASSFILE": os.devnull,
    "PGSERVICEFILE": os.devnull,
}
TO_INSTALL = ("PIP_", "UV_", "SSL_CERT_", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")

of_the_index: dict[str, str] = {}  # what whoever installs packages needs to reach them


def make_the_same():
    if not __debug__:
        sys.exit("The tests assert, and Python was told to leave assertions out: unset PYTHONOPTIMIZE, and use no -O.")
    _open_the_standard_streams()
    _forget_variables()
    _take_signals()
    os.umask(0o022)


def _open_the_standard_streams():
    """Where one is closed, the first file that is opened would become it, and the output of every child."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # becomes the first that is free


def _forget_variables():
    for name in list(os.environ):
        if name.upper().startswith(TO_INSTALL):
            of_the_index[name] = os.environ[name]
        if name.upper() not in KEPT and not name.startswith(KEPT_FAMILIES):
            del os.environ[name]
    os.environ.update(SAME_FOR_ALL)


def _take_signals():
    """Take what a shell, nohup or a supervisor lets its jobs ignore or keeps from them: children would inherit it."""
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # Python itself ignores these two, and lets no child inherit that.
    pythons_own = {getattr(signal, name, None) for name in ("SIGPIPE", "SIGXFSZ")}
    for number in signal.valid_signals() - pythons_own:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
