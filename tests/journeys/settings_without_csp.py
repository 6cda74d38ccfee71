"""The site as a project that has no policy for its pages' content."""

from flasky.settings import *  # noqa: F403

MIDDLEWARE.remove("csp.middleware.CSPMiddleware")  # noqa: F405
MIDDLEWARE.remove("flasky.guard.headers.strict")  # noqa: F405
