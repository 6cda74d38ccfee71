"""flasky.mail.web.message: the page of one message, as the development mailbox shows it."""

from datetime import timedelta
from html import unescape

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone
from django.utils.html import strip_tags
from hypothesis import HealthCheck, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from accounts.admin import NamedUserAdmin
from accounts.models import User
from flasky.mail import cause_of
from flasky.mail.models import Action, Attempt, OutboxMessage, State
from flasky.mail.web.message import LABELS
from tests.people import staff_user

pytestmark = pytest.mark.django_db

HTML = "<p>Hello <b>HTML</b></p>"
REMOTE = "<img src='https://pictures.example/a.png'>"


@pytest.fixture(autouse=True)
def debug(settings):
    settings.DEBUG = True


def store(html=HTML, to=("bob@example.com",), attachments=(), **changes):
    email = EmailMultiAlternatives("Hi", "Hello text", "Ann <ann@example.com>", to, attachments=attachments)
    if html:
        email.attach_alternative(html, "text/html")
    email.send()
    OutboxMessage.objects.filter(pk=email.outbox_message.pk).update(**changes)
    return OutboxMessage.objects.get(pk=email.outbox_message.pk)


def get(client, message, part=""):
    return client.get(f"/mailbox/{message.pk}/{part}")


def page(client, message, query=""):
    response = get(client, message, query)
    assert response.status_code == 200
    return response.content.decode()


def read(client, message, query=""):
    """Return what a person reads on the page."""
    return " ".join(unescape(strip_tags(page(client, message, query))).split())


# What every tab shows


def test_the_page_says_from_whom_to_whom_and_why_it_is_there(client):
    email = EmailMultiAlternatives(
        "Hi <b>",
        "x",
        "Ann <ann@example.com>",
        ["Bob <bob@example.com>"],
        bcc=["dora@example.com"],
        cc=["carl@example.com"],
    )
    email.kind = "mail/new_user"
    email.send()
    message = email.outbox_message
    OutboxMessage.objects.update(
        envelope_sender="bounces@example.com",
        source="index",
        actor="Zoë",
        next_attempt_at=timezone.now() + timedelta(hours=1),
        last_reply="451 4.7.1 Not now",
    )
    shown = read(client, message)
    for part in (
        "Hi <b>",
        "From Ann <ann@example.com> To Bob <bob@example.com> Cc carl@example.com Bcc dora@example.com",
        "Envelope sender bounces@example.com",
        f"Message-ID {message.message_id}",
        "from index, by Zoë",
        "Kind mail/new_user",
        "queued The next try is at",
        "because of the last reply: 451 4.7.1 Not now.",
    ):
        assert part in shown
    assert 'href="/mailbox/?kind=mail%2Fnew_user"' in page(client, message)


def test_what_the_sentence_does_not_say_is_said_below(client):
    assert "It may arrive more than once" in read(client, store(possible_duplicate=True))
    assert "It may arrive more than once" not in read(client, store())


def test_the_outcome_is_shown_at_each_address(client):
    outcomes = {"bob@example.com": {"accepted": False, "reply": "550 5.1.1 <bob>: Unknown"}}
    assert "bob@example.com refused 550 5.1.1 <bob>: Unknown" in read(client, store(outcomes=outcomes))


def test_of_many_addresses_the_first_ten_are_shown_and_the_others_unfold(client):
    shown = read(client, store(to=[f"b{number}@example.com" for number in range(13)]))
    assert "b9@example.com 3 more b10@example.com" in shown


@pytest.mark.parametrize(
    ("priority", "said"),
    [
        ("urgent", "Priority urgent: it overtakes all that is less urgent"),
        ("normal", ""),
        ("bulk", "Priority bulk: it waits until nothing else is due"),
    ],
)
def test_a_priority_is_said_that_is_not_the_normal_one(client, priority, said):
    shown = read(client, store(priority=priority))
    assert said in shown
    assert ("Priority" in shown) == bool(said)


def test_a_mail_without_a_subject_says_so(client):
    assert "(no subject)" in read(client, store(subject=""))


# What caused it


@pytest.fixture
def zoe():
    User.objects.bulk_create([User(username="Zoë <b>")])
    return User.objects.get()


def test_the_mails_about_the_cause_are_linked(client, zoe):
    message = store(cause=cause_of(zoe))
    assert f'href="/mailbox/?cause=accounts.user%3A{zoe.pk}"' in page(client, message)


def staff(client, *permissions):
    client.force_login(staff_user("Ann", *permissions))
    return client


def test_the_cause_is_named_and_linked_for_those_who_may_see_it(client, zoe):
    message, link = store(cause=cause_of(zoe)), f'href="/admin/accounts/user/{zoe.pk}/change/"'
    staff(client, "view_user")
    assert "About user Zoë <b> (all mails about it)" in read(client, message)
    assert link in page(client, message)
    User.objects.update(is_staff=False)
    assert link not in page(client, message)
    assert "Zoë" not in page(client, message)


@pytest.mark.parametrize("place", ["/mailbox/{}/", "/admin/flasky_mail/outboxmessage/{}/change/"])
@pytest.mark.parametrize("cause", ["{}", "4711", "rubbish"])
def test_of_a_cause_that_the_person_may_not_see_no_more_is_said_than_the_message_has(client, zoe, place, cause):
    """Neither its name nor whether it still exists."""
    message, key = store(cause=f"accounts.user:{cause.format(zoe.pk)}"), cause.format(zoe.pk)
    staff(client, "view_outboxmessage", "open_outboxmessage")
    shown = client.get(place.format(message.pk)).content.decode()
    assert f"About user {key} (all mails about it)" in " ".join(unescape(strip_tags(shown)).split())
    assert "Zoë" not in shown
    assert "/admin/accounts/user/" not in shown


def test_a_cause_that_its_admin_hides_from_the_person_is_not_named(client, zoe, monkeypatch):
    class Choosy(NamedUserAdmin):
        def has_view_permission(self, request, obj=None):
            return obj is None or obj.username != "Zoë <b>"

        has_change_permission = has_view_permission

    monkeypatch.setitem(admin.site._registry, User, Choosy(User, admin.site))
    shown = page(staff(client, "view_user"), store(cause=cause_of(zoe)))
    assert "Zoë" not in shown
    assert f"/admin/accounts/user/{zoe.pk}/change/" not in shown


def test_a_cause_without_pages_in_the_admin_is_named_for_those_who_have_its_permission(client):
    permission = Permission.objects.get(codename="view_permission")
    message = store(cause=cause_of(permission))
    assert f"About permission {permission.pk} (" in read(client, message)
    assert f"About permission {permission} (" in read(staff(client, "view_permission"), message)


@pytest.mark.parametrize("cause", ["accounts.user:4711", "accounts.user:x", "accounts.user:" + "9" * 40])
def test_a_cause_that_is_gone_is_said_to_be(client, cause):
    message = store(cause=cause)
    assert f"About {cause}, which does not exist any more" in read(staff(client, "view_user"), message)


@pytest.mark.parametrize("cause", ["gone.model:1", "rubbish", "a:\x01"])
def test_a_cause_of_no_model_is_said_to_be_gone(client, cause):
    assert f"About {cause}, which does not exist any more" in read(client, store(cause=cause))


@pytest.mark.parametrize("query", ["", "?tab=history"])
def test_a_cause_without_a_table_is_said_to_be_unreadable(client, query):
    """Django's own user model is replaced here, and has no table."""
    message = store(cause="auth.user:1")
    User.objects.bulk_create([User(username="Root", is_superuser=True)])
    client.force_login(User.objects.get())
    assert "About auth.user:1, which cannot be read now" in read(client, message, query)


def test_a_state_that_only_a_later_version_knows_is_not_called_accepted(client):
    words = read(client, store(state="bounced"))
    assert "It is 'bounced', which only a later version of this software understands: look at it there." in words
    assert "The relay accepted it" not in words


# The tabs


def tabs(client, message):
    shown = read(client, message)
    parts = shown.partition("bob@example.com")[2].partition("Details")[0]
    return [label for label in LABELS.values() if f" {label} " in parts]


def test_each_tab_with_something_to_show_is_there(client):
    assert tabs(client, store()) == ["HTML", "Text", "Headers", "Source"]
    assert tabs(client, store(html="")) == ["Text", "Headers", "Source"]
    assert "Attachments (2)" in read(client, store(attachments=[("a", b"a", None), ("b", b"b", None)]))


@pytest.mark.parametrize("query", ["", "?tab=rubbish", "?tab=attachments"])
def test_the_first_tab_is_shown_if_none_is_asked_for(client, query):
    assert "<iframe" in page(client, store(), query)
    assert "Hello text" in read(client, store(html=""), query)


def test_the_tab_that_is_shown_is_marked(client):
    assert '<a href="?tab=text#tabs" aria-current="page">Text</a>' in page(client, store(), "?tab=text")


def test_the_text_is_shown_as_it_is(client):
    email = EmailMultiAlternatives("Hi", "<script>alert(1)</script>\n  a", "ann@example.com", ["bob@example.com"])
    email.send()
    shown = page(client, email.outbox_message, "?tab=text")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\n  a</pre>" in shown
    assert "<script>alert" not in shown


def test_a_mail_without_plain_text_says_so(client):
    message = store(content=b"Content-Type: text/html\r\n\r\n<p>x")
    assert "This message has no plain text." in read(client, message, "?tab=text")


def test_headers_are_listed_and_with_them_what_the_provider_gets(client):
    shown = read(client, store(provider_options={"tags": ["a"]}), "?tab=headers")
    assert "SubjectHi" in shown
    assert "For the provider tags['a']" in shown


def test_the_source_is_shown_as_it_is(client):
    message = store()
    assert bytes(message.content).decode().replace("\r\n", "\n") in unescape(
        page(client, message, "?tab=source")
    ).replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("tab", "longest"),
    [
        ("text", b"\r\n" + b"a" * 200_000),
        ("source", b"\r\n" + b"a" * 199_998),
        ("headers", b"X-B:" + b"a" * 199_997),
    ],
)
def test_what_is_too_long_for_a_page_is_cut_with_a_word(client, tab, longest):
    sentence = "Only the first 200000 characters are shown."
    assert sentence not in read(client, store(content=longest), f"?tab={tab}")
    shown = read(client, store(content=longest + b"a"), f"?tab={tab}")
    assert sentence in shown
    assert "a" * (longest.count(b"a") + 1) not in shown


def test_attachments_are_listed_with_type_and_size(client):
    message = store(attachments=[("<b>.pdf", b"x" * 2048, "application/pdf")])
    assert "<b>.pdf application/pdf, 2.0 KB" in read(client, message, "?tab=attachments")
    assert f'href="/mailbox/{message.pk}/attachment/1/"' in page(client, message, "?tab=attachments")


def test_the_history_tells_what_happened_in_the_order_of_time(client):
    message, other = store(source="admin", actor="boss"), store()
    noon = timezone.now().replace(year=2036, month=5, day=4, hour=12, minute=0, second=0)
    Action.objects.create(message=message, verb=Action.Verb.HELD, actor="Zoë", at=noon - timedelta(hours=2))
    Action.objects.create(message=message, verb=Action.Verb.SENT_AGAIN, actor="boss", other=other.pk, at=noon)
    Attempt.objects.create(
        message=message,
        started_at=noon - timedelta(hours=1),
        outcome="postponed",
        reply="451 <not now>\nsecond line",
        server="relay.test:587",
        seconds=1.234,
        secured=True,
        worker="host 12 mail_0",
    )
    shown = read(client, message, "?tab=history").partition("History")[2]
    assert "from the admin, by boss Held 4 May 2036, 10:00:00 UTC by Zoë Refused for now 4 May 2036" in shown
    assert "11:00:00 UTC 451 <not now> second line" in shown
    assert "1.23 s, relay.test:587 (encrypted, no login), by host 12 mail_0 Sent again as a new message" in shown
    assert f'<a href="/mailbox/{other.pk}/">message {other.pk}</a>' in page(client, message, "?tab=history")


def test_the_history_invents_nothing_about_a_holder_who_died_or_a_message_that_is_gone(client):
    message = store()
    message.attempts.create(outcome=Attempt.Outcome.UNKNOWN, reply="Nothing was heard.", worker="host 12")
    Action.objects.create(message=message, verb=Action.Verb.FORWARDED, other=4711)
    shown = read(client, message, "?tab=history")
    assert "Nothing was heard. by host 12" in shown
    assert "Forwarded (message 4711, which does not exist any more)" in shown


def prune(message):
    OutboxMessage.objects.update(state=State.SENT, content=b"", finished_at=timezone.now().replace(2026, 5, 4))


def test_of_a_pruned_message_only_the_history_is_left(client):
    message = store()
    prune(message)
    shown = read(client, message, "?tab=html")
    assert "The body was pruned after 2026-05-04" in shown
    assert "Recipients bob@example.com" in shown
    assert tabs(client, message) == []
    assert "History Stored" in shown
    assert ".eml" not in shown


@pytest.mark.parametrize("part", ["html/", "eml/", "attachment/1/"])
def test_what_was_pruned_is_gone(client, part):
    message = store(attachments=[("a.txt", "x", None)])
    prune(message)
    response = get(client, message, part)
    assert response.status_code == 410
    assert response.content.decode().startswith("The body was pruned after 2026-05-04")


@rules(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=400))
def test_every_tab_of_any_bytes_is_a_page(client, content):
    message = store(content=content)
    for tab in LABELS:
        assert page(client, message, f"?tab={tab}")
    assert get(client, message, "html/").status_code == 200
    assert get(client, message, "eml/").content == content


# The HTML


def test_the_frame_may_do_nothing(client):
    message = store()
    assert f'<iframe class=" " sandbox="" src="/mailbox/{message.pk}/html/"' in page(client, message)


def test_width_and_colours_can_be_chosen_and_are_kept(client):
    message = store()
    shown = page(client, message, "?tab=html&width=phone&theme=dark")
    assert f'<iframe class="phone dark" sandbox="" src="/mailbox/{message.pk}/html/"' in shown
    assert 'href="?tab=html&amp;width=phone&amp;theme=light#tabs"' in shown
    assert 'class=" "' in page(client, message, "?width=rubbish&theme=rubbish")


def test_a_mail_that_has_no_dark_colours_says_so_where_it_matters(client):
    sentence = "This mail says nothing about dark colours"
    assert sentence in read(client, store(), "?theme=dark")
    assert sentence not in read(client, store(), "?theme=light")
    assert sentence not in read(client, store("<style>:root{color-scheme:light dark}</style>x"), "?theme=dark")


def test_remote_content_is_left_out_until_the_viewer_asks(client):
    message = store(REMOTE)
    assert "Content from pictures.example was left out" in read(client, message)
    assert 'href="?remote=1#tabs"' in page(client, message)
    assert "Content from pictures.example is shown" in read(client, message, "?remote=1")
    assert f'src="/mailbox/{message.pk}/html-with-remote/"' in page(client, message, "?remote=1")
    assert "Content from" not in read(client, store())


@pytest.mark.parametrize(("query", "path"), [("", "html/"), ("?remote=1", "html-with-remote/")])
def test_the_page_allows_its_frame_one_address_whatever_policy_the_project_has(client, query, path):
    message = store(REMOTE)
    source = f"http://testserver/mailbox/{message.pk}/{path}"
    policy = f'<meta http-equiv="Content-Security-Policy" content="frame-src {source}">'
    assert policy in page(client, message, query)


def test_many_hosts_are_not_all_named(client):
    html = "".join(f"<img src='//h{number}.example/'>" for number in range(7))
    assert "h3.example, h4.example and 2 more was left out" in read(client, store(html))


def directives(response):
    policy = response["Content-Security-Policy"]
    return {name: sources for name, _, sources in (part.partition(" ") for part in policy.split("; "))}


def test_the_html_stands_alone_in_a_policy_that_allows_nothing(client):
    response = get(client, store(), "html/")
    assert response.content.decode() == f'<base target="_blank">{HTML}'
    assert response["Content-Type"] == "text/html; charset=utf-8"
    assert directives(response) == {
        "sandbox": "",
        "default-src": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'self'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
    }
    assert response["X-Frame-Options"] == "SAMEORIGIN"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "no-referrer"
    assert response["X-DNS-Prefetch-Control"] == "off"


def test_the_viewer_who_asks_gets_images_styles_and_fonts_and_nothing_else(client):
    message = store()
    allowed = directives(get(client, message, "html-with-remote/"))
    kept = directives(get(client, message, "html/"))
    changed = {name for name in allowed if allowed[name] != kept.get(name)}
    assert changed == {"img-src", "style-src", "font-src"}
    assert directives(get(client, message, "html/?remote=rubbish")) == kept


# Downloads


def test_the_eml_is_the_mail_to_the_byte(client):
    message = store()
    response = get(client, message, "eml/")
    assert response.content == bytes(message.content)
    assert response["Content-Type"] == "message/rfc822"
    assert response["Content-Disposition"] == f'attachment; filename="message-{message.pk}.eml"'
    assert response["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("mimetype", ["text/html", "image/svg+xml", "application/javascript"])
def test_an_attachment_is_saved_and_never_shown(client, mimetype):
    response = get(client, store(attachments=[("a.html", b"<script>", mimetype)]), "attachment/1/")
    assert response.content.rstrip() == b"<script>"
    assert response["Content-Type"] == "application/octet-stream"
    assert response["Content-Disposition"] == 'attachment; filename="a.html"'
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"


@pytest.mark.parametrize(
    ("name", "disposition"),
    [
        ('a"; filename="b.exe', 'attachment; filename="a\\"; filename=\\"b.exe"'),
        ("../Zoë.pdf", "attachment; filename*=utf-8''Zo%C3%AB.pdf"),
    ],
)
def test_the_name_of_an_attachment_adds_no_header_and_no_folder(client, name, disposition):
    response = get(client, store(attachments=[(name, b"x", "application/pdf")]), "attachment/1/")
    assert response["Content-Disposition"] == disposition


@pytest.mark.parametrize("number", [0, 2, 10**30])
def test_an_attachment_that_does_not_exist_is_not_found(client, number):
    assert get(client, store(attachments=[("a", b"a", None)]), f"attachment/{number}/").status_code == 404
