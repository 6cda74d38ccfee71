"""The site's own settings, with a deadline that a test can wait for."""

from flasky.settings import *  # noqa: F403

REQUEST_TIMEOUT = 4  # s
