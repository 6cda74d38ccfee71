"""flasky.mail.images: images in a mail's HTML travel with it, and mail programs find them."""

import hashlib
import re
from base64 import b64encode
from email import message_from_bytes, policy

import pytest
from django.core import mail
from django.template import Context, Template
from django.test import modify_settings
from hypothesis import HealthCheck, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from flasky.mail import render_email, send_email
from flasky.mail.delivery import deliver_due
from flasky.mail.images import note_image, noting_images
from flasky.mail.models import OutboxMessage
from flasky.mail.previews.lint import problems
from flasky.mail.wire.rebuild import rebuild
from tests.conftest import all_mail_goes_to

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 3
JPEG, GIF = b"\xff\xd8\xff\xe0" + b"jpeg" * 9, b"GIF89a" + b"gif" * 9
KIND = "mail/pictured"


@pytest.fixture
def static(settings, tmp_path):
    """Return what puts a static file there."""
    settings.STATICFILES_DIRS = [tmp_path / "static"]

    def put(name, content):
        path = tmp_path / "static" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    put("logo.png", PNG)
    return put


@pytest.fixture
def write(settings, tmp_path):
    """Return what writes the HTML of the mail KIND."""
    settings.TEMPLATES = [{**engine, "DIRS": [tmp_path / "templates"]} for engine in settings.TEMPLATES]
    (tmp_path / "templates/mail").mkdir(parents=True)

    def write(html, name=KIND):
        (tmp_path / f"templates/{name}.html").write_text(f"{{% load flasky_mail_layout %}}{html}", "utf-8")
        (tmp_path / f"templates/{name}.txt").write_text("Hello", "utf-8")

    write('<p>Hi</p><img src="{% inline_image "logo.png" %}" alt="Logo">')
    return write


@pytest.fixture
def pictured(static, write):
    return lambda **options: send_email("bob@example.com", "Hi", KIND, **options)


def images_in(message):
    return [part for part in message.walk() if part.get_content_maintype() == "image"]


def structure(message):
    inside = [structure(part) for part in message.iter_parts()] if message.is_multipart() else []
    return (message.get_content_type(), *inside)


@pytest.mark.django_db(transaction=True)
def test_the_image_is_related_to_the_html_and_the_text_is_the_alternative_to_both(pictured, relay):
    pictured()
    deliver_due()
    [arrived] = relay.mails
    message = arrived.message
    related = ("multipart/related", ("text/html",), ("image/png",))
    assert structure(message) == ("multipart/alternative", ("text/plain",), related)
    [image] = images_in(message)
    assert image.get_content() == PNG
    assert image.get_content_disposition() == "inline"
    assert image.get_filename() == "logo.png"
    [url] = re.findall('src="(cid:[^"]+)"', arrived.html)
    assert image["Content-ID"] == f"<{url.removeprefix('cid:')}>"
    assert (
        next(p for p in message.walk() if p.get_content_type() == "multipart/related").get_param("type") == "text/html"
    )


@pytest.mark.django_db(transaction=True)
def test_each_image_is_there_once_however_often_it_is_shown(static, write, relay):
    static("photos/team.jpg", JPEG)
    static("same.png", PNG)
    write(
        '{% inline_image "logo.png" %} {% inline_image "same.png" %} {% inline_image "logo.png" %}'
        '{% inline_image "photos/team.jpg" %}'
    )
    send_email("bob@example.com", "Hi", KIND)
    deliver_due()
    assert [part.get_content_type() for part in images_in(relay.mails[0].message)] == ["image/png", "image/jpeg"]


@pytest.mark.django_db
def test_beside_a_file_that_is_attached_the_image_stays_with_the_html(static, write):
    email = render_email("bob@example.com", "Hi", KIND)
    email.attach("list.csv", "1;2", "text/csv")
    email.send()
    message = message_from_bytes(bytes(OutboxMessage.objects.get().content), policy=policy.default)
    related = ("multipart/related", ("text/html",), ("image/png",))
    assert structure(message) == (
        "multipart/mixed",
        ("multipart/alternative", ("text/plain",), related),
        ("text/csv",),
    )


@pytest.mark.django_db
def test_other_back_ends_get_the_same(pictured, settings):
    all_mail_goes_to(settings, "django.core.mail.backends.locmem.EmailBackend")
    pictured()
    message = message_from_bytes(mail.outbox[0].message().as_bytes(), policy=policy.default)
    assert structure(message)[0] == "multipart/alternative"
    assert images_in(message)[0].get_content() == PNG


@pytest.mark.django_db
def test_a_provider_gets_it_as_an_inline_attachment(pictured):
    pictured()
    stored = OutboxMessage.objects.get()
    email = rebuild(stored.content, "a@example.com", stored.recipients, {}, stored.as_given)
    [image] = email.attachments
    assert image.get_payload(decode=True) == PNG
    assert image.get_content_disposition() == "inline"
    assert f"cid:{image['Content-ID'].strip('<>')}" in email.alternatives[0][0]
    assert stored.content.count(b64encode(PNG)[:70]) == 1
    assert len(str(stored.as_given)) < len(b64encode(PNG)) + 2000  # kept as its place, not twice


@pytest.mark.django_db
def test_anymail_knows_it_as_inline(pictured):
    from anymail.utils import Attachment as AnymailAttachment

    pictured()
    stored = OutboxMessage.objects.get()
    [part] = rebuild(stored.content, "a@example.com", stored.recipients, {}, stored.as_given).attachments
    attachment = AnymailAttachment(part)
    assert (attachment.inline, attachment.mimetype, attachment.content) == (True, "image/png", PNG)


@pytest.mark.django_db
def test_the_page_of_the_message_and_the_preview_show_it(pictured, client, settings):
    settings.DEBUG = True
    pictured()
    stored = OutboxMessage.objects.get()
    shown = f"data:image/png;base64,{b64encode(PNG).decode()}"
    assert shown in client.get(f"/mailbox/{stored.pk}/html/").content.decode()
    assert shown in client.get(f"/mailbox/templates/html/en/usual/{KIND}/").content.decode()


@pytest.mark.django_db
def test_a_mail_with_an_image_waits_for_no_digest(static, write, settings):
    settings.MAIL_DIGEST_AFTER = 1
    for ending in ("", "_digest"):
        write('<img src="{% inline_image "logo.png" %}" alt="">', KIND + ending)
    (static_templates := settings.TEMPLATES[0]["DIRS"][0] / f"{KIND}_digest_subject.txt").write_text("Several")
    assert static_templates.exists()
    messages = [send_email("bob@example.com", "Hi", KIND, digest={"name": "Ann"}).outbox_message for _ in range(3)]
    assert len({message.next_attempt_at <= message.created_at for message in messages}) == 1


def test_a_mail_without_an_image_is_made_as_before(write):
    write("<p>Hi</p>")
    email = render_email("bob@example.com", "Hi", KIND)
    assert type(email) is mail.EmailMultiAlternatives
    assert email.attachments == []


def test_an_image_of_an_included_template_is_noted_too(static, write):
    write('<img src="{% inline_image "logo.png" %}" alt="">', "mail/_brand")
    write('{% include "mail/_brand.html" only %}')
    assert len(render_email("bob@example.com", "Hi", KIND).attachments) == 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("logo.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is an SVG, which most mail programs"),
        ("fake.png", b"<?xml version='1.0'?><SVG/>", "is an SVG"),
        ("logo.webp", b"RIFF\0\0\0\0WEBPVP8 ", "is no PNG, JPEG or GIF"),
        ("empty.png", b"", "is no PNG, JPEG or GIF"),
        ("page.png", b"<html>", "is no PNG, JPEG or GIF"),
        ("huge.png", PNG * 200, "too many for a mail: MAIL_MAX_SIZE allows 100,000"),
    ],
)
def test_what_no_mail_program_shows_is_refused_when_the_mail_is_made(static, write, settings, name, content, said):
    settings.MAIL_MAX_SIZE = 100_000
    static(name, content)
    write(f'{{% inline_image "{name}" %}}')
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        render_email("bob@example.com", "Hi", KIND)
    assert repr(name) in str(error.value)


@pytest.mark.parametrize(
    "name", ["nothing.png", "", "../settings.py", "/etc/passwd", ".", "a\0b.png", "x" * 5000, "static"]
)
def test_a_file_that_is_not_there_is_named_with_what_to_do(static, write, name):
    with noting_images(), pytest.raises(ValueError, match=r"there is no such static file[\s\S]*findstatic"):
        note_image(name)


@pytest.mark.django_db
def test_nothing_is_stored_of_a_mail_whose_image_is_wrong(write, static):
    write('{% inline_image "nothing.png" %}')
    with pytest.raises(ValueError, match="no such static file"):
        send_email("bob@example.com", "Hi", KIND)
    assert not OutboxMessage.objects.exists()


def test_outside_of_a_mails_html_the_tag_says_so(static, write):
    page = Template('{% load flasky_mail_layout %}{% inline_image "logo.png" %}')
    with pytest.raises(ValueError, match="is not in the HTML of a mail"):
        page.render(Context())


def test_without_static_files_it_says_what_to_install(write):
    with (
        modify_settings(INSTALLED_APPS={"remove": ["django.contrib.staticfiles"]}),
        pytest.raises(ValueError, match="INSTALLED_APPS has no django"),
    ):
        render_email("bob@example.com", "Hi", KIND)


def test_a_collected_file_is_found_without_its_app(write, settings, tmp_path):
    settings.STATICFILES_FINDERS = []
    settings.STATIC_ROOT = tmp_path / "collected"
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.STATIC_ROOT.mkdir()
    (settings.STATIC_ROOT / "logo.png").write_bytes(PNG)
    assert len(render_email("bob@example.com", "Hi", KIND).attachments) == 1


def test_the_check_of_templates_takes_it_and_finds_one_that_is_missing(static, write):
    assert problems(KIND) == []
    write('<img src="{% inline_image "nothing.png" %}" alt="">')
    [problem] = problems(KIND)
    assert "no such static file" in problem


@given(
    content=st.binary(max_size=4000),
    name=st.text(st.characters(codec="utf-8", exclude_characters="\0/\\"), max_size=40),
)
@rules(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_any_content_under_any_name_arrives_as_it_is(monkeypatch, write, settings, content, name):
    whole = b"\x89PNG\r\n\x1a\n" + content
    monkeypatch.setattr("flasky.mail.images._read", lambda name: whole)
    email = render_email("bob@example.com", "Hi", KIND)
    with noting_images() as images:
        note_image(f"{name}.png")
    email.attachments = [*images.values()]
    message = message_from_bytes(email.message().as_bytes(), policy=policy.default)
    [image] = images_in(message)
    assert hashlib.sha256(image.get_content()).digest() == hashlib.sha256(whole).digest()
