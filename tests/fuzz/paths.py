"""Every path that the site answers, walked from its URLconf, so that a new page is fuzzed without a word here."""

import re

from django.urls import get_resolver

ARGUMENT = re.compile(r"<[^>]+>|\(\?P<[^>]+>[^)]*\)")
OUTSIDE_OF_THE_URLCONF = ["healthz", "readyz", "metrics", "static/flasky/style.css", "static/{}", "nowhere/{}", "{}"]


def paths():
    """Return the paths with `{}` in the place of each argument."""
    return sorted({*_below(get_resolver().url_patterns, ""), *OUTSIDE_OF_THE_URLCONF})


def _below(patterns, prefix):
    for pattern in patterns:
        path = prefix + ARGUMENT.sub("{}", str(pattern.pattern)).removeprefix("^")
        if hasattr(pattern, "url_patterns"):
            yield from _below(pattern.url_patterns, path)
        else:
            yield path.removesuffix("$").replace(r"\Z", "")
