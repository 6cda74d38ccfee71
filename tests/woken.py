"""The project's settings, for a process that is woken or does nothing: it does not look by itself."""

from flasky.settings import *  # noqa: F403

MAIL_SWEEP_INTERVAL = 3600  # s
