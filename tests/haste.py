"""The project's settings with shorter pauses, for processes whose hosts, links and servers come and go."""

from flasky.settings import *  # noqa: F403

MAIL_LEASE = 6  # s
MAIL_SWEEP_INTERVAL = 1  # s
