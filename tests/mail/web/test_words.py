"""Every word of the outbox's pages can be translated, whatever state a message is in and whatever is wrong."""

import re
from datetime import timedelta

import pytest
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone

from accounts.models import User
from flasky.mail.models import (
    LOST_CLAIMS_UNTIL_HELD,
    UNKNOWN_ENDS_UNTIL_HELD,
    Action,
    Attempt,
    HourlyCount,
    OutboxMessage,
    Process,
    Relay,
    RelayOutage,
    State,
)
from flasky.mail.web.operations import OPERATIONS
from tests.pseudo import speak, untranslated

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.mail.web.plain_admin")]

LIST = "/back/office/flasky_mail/outboxmessage/"
TABS = ("html", "text", "headers", "source", "attachments", "history")
DISPATCHERS = ("flasky.mail.dispatchers.inline", "flasky.mail.dispatchers.threads")
NOW = timezone.now()

# Latin letters that nobody translates: the other values of these tests have Greek ones.
VALUES = {
    r"[\w.+-]+@[\w.-]+": "addresses, and what is in a Message-ID",
    r"\bUTC\b": "the time zone",
    r"\w+\.\w+:\d+": "an object, as it is named in the database",
    r"[\w-]+\.(?:example|csv)\b|\bexample\.com\b": "hosts, files",
    r"\b(?:text|image)/\w+": "the kind of an attachment",
    r"\bmail/\w+(?:/\w+)?": "a kind of mail",
    r"(?:\[Flasky\] )?Fwd:": "what the subject of a mail begins with",
    r"\b(?:to|subject|is|kind|source):(?:\"[^\"]*\"|\S+)": "an operator of the search, and what it looks for",
    r"\bAccounts\b": "an app of the project",
    r"\bmanage\.py \w+": "a command",
    r"\bEnglish\b": "the name of a language, in that language",
    r"\b(?:Django|OFFICE)\b": "names",
}
# What the mail says itself, or a program said; all of it is in elements of its own.
QUOTED = r"(?s)<dl class=\"headers\">.*?</dl>"


@pytest.fixture(autouse=True)
def plain_project(settings):
    """The templates of Django and of the apps, and nothing of this site's own."""
    [engine] = settings.TEMPLATES
    settings.TEMPLATES = [{**engine, "DIRS": []}]
    settings.DEBUG = True
    # It would speak what the request asks for.
    choosing = {"django.middleware.locale.LocaleMiddleware", "flasky.site.middleware.in_ones_own_language"}
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name not in choosing]


@pytest.fixture
def read(client, monkeypatch):
    """Return what is untranslated on the page at a URL; what is posted is the form that leads to it."""
    User.objects.bulk_create([User(username="Άννα", email="ann@example.com", is_staff=True, is_superuser=True)])
    client.force_login(User.objects.get())

    def read(url, status=200, **posted):
        with speak(monkeypatch):
            response = client.post(url, posted, follow=True) if posted else client.get(url, follow=True)
            assert response.status_code == status
            html = response.content.decode()
        assert "⟦" in html
        assert 'lang="xx"' in html or response["Content-Type"].startswith("text/plain")
        return set(untranslated(re.sub(QUOTED, "", html), VALUES))

    return read


def store(state=State.QUEUED, to=("ann@example.com",), subject="Ωμέγα", html="", attach=False, **changes):
    email = EmailMultiAlternatives(subject, "Ναι", "ann@example.com", to)
    if html:
        email.attach_alternative(html, "text/html")
    if attach:
        email.attach("ν.csv", "1;2", "text/csv")
    email.send()
    OutboxMessage.objects.filter(pk=email.outbox_message.pk).update(state=state, **changes)
    return OutboxMessage.objects.get(pk=email.outbox_message.pk)


def outcomes(*accepted):
    return {f"{index}@example.com": {"accepted": each, "reply": "250"} for index, each in enumerate(accepted)}


def in_every_state():
    """Store a message for each sentence that can be said of one; return them."""
    past, soon = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
    several = [f"{index}@example.com" for index in range(5)]
    images = "".join(f"<img src='https://{name}.example/'>" for name in "abcdefg")
    found = [
        store(subject=""),
        store(next_attempt_at=soon),
        store(next_attempt_at=soon, attempt_count=1, last_reply="451 4.7.1", priority="urgent"),
        store(next_attempt_at=soon, queued_at=soon, priority="bulk"),
        store(to=several, possible_duplicate=True),
        store(html=images, attach=True, provider_options={"tags": ["ένα"]}),
        store(State.SENDING, claimed_by="ε 1"),
        store(State.SENDING, claimed_by="ε 1", lease_expires_at=soon),
        store(State.SENDING, lease_expires_at=past),
        store(State.HELD),
        store(State.HELD, lost_claims=LOST_CLAIMS_UNTIL_HELD),
        store(State.HELD, unknown_ends=UNKNOWN_ENDS_UNTIL_HELD, last_reply="250"),
        store(State.FAILED, last_reply="550 5.1.1", outcomes=outcomes(False), to=several[:1], finished_at=past),
        store(State.FAILED, outcomes=outcomes(False), to=several[:1]),
        store(State.FAILED, finished_at=past),
        store(State.FAILED),
        store(State.CANCELLED),
        store(State.SENT, outcomes=outcomes(True), to=several[:1], finished_at=past),
        store(State.SENT, outcomes=outcomes(True), to=several[:1]),
        store(State.SENT, outcomes=outcomes(True, False, False, False, False), to=several, finished_at=past),
        store(State.SENT, outcomes=outcomes(True, False, False, False, False), to=several),
        store(State.SENT, content=b"", finished_at=past),
        store(State.SENT, content=b""),
    ]
    for source in ("admin", "sendtestemail", "", "ρ"):
        found += [store(source=source), store(source=source, actor="Άννα", kind="κ/λ", request_id="1")]
    found += [store(cause="flasky_mail.nothing:1"), store(cause=f"accounts.User:{User.objects.get().pk}")]
    return found


def with_history(message):
    for outcome in Attempt.Outcome:
        for secured, logged_in in ((True, True), (True, False), (False, True), (False, False)):
            message.attempts.create(
                outcome=outcome, reply="250", server="σ:25", secured=secured, logged_in=logged_in, worker="ε 1"
            )
    for verb in Action.Verb:
        message.actions.create(verb=verb, actor="Άννα", other=1)
        message.actions.create(verb=verb)
    return message


@pytest.fixture
def outbox():
    return in_every_state()


@pytest.fixture
def counts():
    for ago in range(30 * 24):
        HourlyCount.objects.create(hour=NOW - timedelta(hours=ago), slot=0, sent=1500 * (ago % 2), failed=ago)


@pytest.mark.parametrize("query", ["", "?refresh=1", "?tab=sent", "?q=ωμ", "?q=nobody@example.com", "?cause=λ:1"])
def test_the_list(read, outbox, query):
    assert read(f"{LIST}{query}") == set()
    assert read(f"/dev/mails/{query}") == set()


@pytest.mark.parametrize("time", ["1h", f"{NOW:%Y}", f"{NOW:%Y-%m}", f"{NOW:%Y-%m-%d}", f"{NOW:%Y-%m-%dT%H}"])
def test_the_list_of_a_time(read, outbox, time):
    store(created_at=NOW - timedelta(days=400))
    assert read(f"{LIST}?time={time}&kind=λ") == set()


def test_the_empty_list(read):
    assert read(LIST) == read("/dev/mails/") == set()


def test_the_charts(read, outbox, counts):
    for number in range(12):
        store(to=[f"ann@{number}.example"])
    assert read(f"{LIST}charts/") == set()


def test_the_charts_of_nothing(read):
    assert read(f"{LIST}charts/") == set()


@pytest.mark.parametrize("dispatcher", DISPATCHERS)
def test_each_message(read, outbox, settings, dispatcher):
    settings.MAIL_DISPATCHER = dispatcher
    for message in outbox:
        assert read(f"/dev/mails/{message.pk}/") == set(), message.pk


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("query", ["", "&remote=1&theme=dark&width=phone"])
def test_each_tab(read, outbox, tab, query):
    for message in [outbox[0], with_history(outbox[5]), outbox[-3]]:
        assert read(f"{LIST}{message.pk}/change/?tab={tab}{query}") == set()
        assert read(f"/dev/mails/{message.pk}/?tab={tab}{query}") == set()


def test_what_is_too_long_and_what_is_gone(read, outbox):
    long = EmailMultiAlternatives("Ω", "ναι " * 200_000, "ann@example.com", ["ann@example.com"])
    long.send()
    for tab in TABS:
        assert read(f"/dev/mails/{long.outbox_message.pk}/?tab={tab}") == set()
    [pruned, _] = [message for message in outbox if not message.content]
    for part in ("html", "eml"):
        assert read(f"/dev/mails/{pruned.pk}/{part}/", status=410) == set()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_the_question_and_the_answer(read, outbox, operation):
    keys = [message.pk for message in outbox]
    act = f"{LIST}act/"
    for chosen in (keys, keys[:1], keys[6:7]):
        assert read(act, action=operation.name, message=chosen) == set()
    assert read(act, action=operation.name) == set()
    assert read(act, status=405) == set()
    asked = {"action": operation.name, "message": keys, "confirmed": "1", "last_action": "1"}
    assert read(act, **asked) == set()
    assert read(act, **asked) == set()


def test_who_has_no_address_cannot_be_forwarded_to(read, outbox):
    User.objects.update(email="")
    assert read(f"{LIST}act/", action="forward", message=outbox[0].pk) == set()


@pytest.mark.parametrize("dispatcher", DISPATCHERS)
def test_each_trouble(read, outbox, settings, dispatcher):
    settings.MAIL_DISPATCHER, settings.MAIL_MAX_CONNECTIONS = dispatcher, 4
    due = outbox[0]

    def pages():
        return read(LIST) | read(f"/dev/mails/{due.pk}/")

    assert pages() == set()
    OutboxMessage.objects.filter(pk=due.pk).update(next_attempt_at=NOW - timedelta(days=2))
    assert pages() == set()  # overdue
    Process.objects.create(name="ε 1", threads=1)
    assert pages() == set()
    Process.objects.create(name="ε 2", threads=1, stuck_since=NOW - timedelta(hours=1))
    for number in range(5):
        Process.objects.create(name=f"ζ {number}", threads=1, seen_at=NOW - timedelta(hours=2))
    assert pages() == set()  # stuck, and silent
    Relay.objects.create(server="σ 25", allowed=1, allowed_since=timezone.now())
    Relay.objects.create(server="τ 25", allowed=2, allowed_since=NOW - timedelta(hours=2))
    assert pages() == set()
    OutboxMessage.objects.get(pk=outbox[2].pk).attempts.create(outcome="refused", reply="550")
    assert pages() == set()
    OutboxMessage.objects.get(pk=outbox[2].pk).attempts.create(outcome="accepted", reply="250")
    assert pages() == set()
    RelayOutage.objects.note("σ 25", "Ουχί.", NOW + timedelta(hours=1))
    assert pages() == set()
    Process.objects.all().delete()
    assert pages() == set()


def test_the_kinds_of_mail(read, tmp_path, settings):
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / "κακό.txt").write_text("{% load κ %}")
    [engine] = settings.TEMPLATES
    settings.TEMPLATES = [{**engine, "DIRS": [tmp_path]}]
    assert read("/dev/mails/templates/") == set()
    assert read("/dev/mails/templates/mail/flasky_mail/test/") == set()


def test_the_index_and_the_app_in_the_admin(read, outbox):
    assert read("/back/office/") == read("/back/office/flasky_mail/") == set()


def test_what_is_no_value_is_noticed():
    page = "<p title='Hello'>⟦Yes⟧ or no, ann@example.com</p><input type=submit value=Go><style>a</style>"
    assert untranslated(page, VALUES) == ["Hello", "⟦Yes⟧ or no, ann@example.com", "Go"]
