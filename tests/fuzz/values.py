"""What is typed, clicked and forged: the values that went wrong somewhere, mixed with whatever Hypothesis thinks of."""

from urllib.parse import quote

from hypothesis import strategies as st

from tests.fuzz.paths import paths
from tests.hostile_names import ALL

NUMBERS = [
    "0",
    "1",
    "2",
    "-1",
    "1.5",
    "1e9",
    "01",
    "+1",
    " 1",
    "٣",
    "²",
    "9" * 18,
    "9" * 19,
    "9" * 400,
    "9" * 5000,
    "#1",
    "0x1",
    "nan",
]
DATES = ["2026", "2026-11", "2026-11-03", "2026-11-03T14", "0000", "9999", "9999-12-31", "2026-13-45", "1h", "24h", "2026-11-03T12:00:00+00:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"]  # fmt: skip
WORDS = ["all", "later", "failed", "queued", "duplicates", "html", "source", "attachments", "history", "request:x", "<a@b.c>", "ann@example.com", "mail/new_user", "index", "accounts.user:1", "accounts.user:x", "nonsense.model:1", ":", "en", "usual", "en-us", "zh-hans"]  # fmt: skip
FIELDS = ["name", "website", "asked", "csrfmiddlewaretoken", "q", "p", "tab", "kind", "source", "cause", "time", "before", "refresh", "next", "message", "action", "scope", "last_action", "confirmed", "username", "password", "password1", "password2", "usable_password", "old_password", "post", "_selected_action", "_popup", "_to_field", "_changelist_filters", "e", "o", "date_joined__year", "is_staff__exact", "all", "term", "app_label", "model_name", "field_name", "index", "select_across", "email", "date_joined_0", "language", "id", "_facets", "_save", "is_active", "groups"]  # fmt: skip
ACTIONS = ["requeue", "send_again", "hold", "release", "cancel", "forward", "log_out_everywhere", "delete_selected"]


def texts():
    return st.one_of(st.sampled_from(ALL + NUMBERS + DATES + WORDS + ACTIONS), st.text(max_size=40))


def arguments():
    """Return parts of a path."""
    whole = st.sampled_from(["1", "2", "en", "usual", "mail/new_user", "accounts", "auth/group", "flasky_mail"])
    broken = st.sampled_from(["%00", "%ff", "%zz", "%", "%u0041", "..", "%2e%2e%2f", "_2F", "__5F", "%0d%0aX-Injected:%20yes", "%E2%80%A8"])  # fmt: skip
    return st.one_of(whole, broken, texts().map(quoted))


def quoted(text):
    return quote(text.encode("utf-8", "surrogatepass"))


@st.composite
def targets(draw):
    """Return the paths of the site with all kinds of arguments, and of queries."""
    path = draw(st.sampled_from(paths()))
    while "{}" in path:
        path = path.replace("{}", draw(arguments()), 1)
    query = "&".join(f"{name}={quoted(value)}" for name, value in draw(pairs()))
    return f"/{path}?{query}" if query else f"/{path}"


def pairs():
    """Return fields of a form or of a query: known and unknown, some more than once."""
    name = st.one_of(st.sampled_from(FIELDS), st.text(max_size=10).map(quoted))
    return st.lists(st.tuples(name, texts()), max_size=6)
