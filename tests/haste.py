"""The project's settings with shorter pauses, for processes whose hosts, links and servers come and go."""

from flasky.settings import *  # noqa: F403

MAIL_LEASE = 4  # s
MAIL_SWEEP_INTERVAL = 1  # s
MAIL_STOP_TIMEOUT = 3  # s


def shorten(options, *names):
    """Make a quarter of the project's own patience: an option that it forgets is missing here too."""
    for name in options.keys() & set(names):
        options[name] = max(options[name] // 4, 1)


_options = DATABASES["default"].get("OPTIONS", {})  # noqa: F405
shorten(_options, "connect_timeout", "keepalives_idle", "keepalives_interval", "tcp_user_timeout")
shorten(_options.get("pool", {}), "timeout")
