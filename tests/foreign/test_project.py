"""A project that knows nothing of this one installs the distribution, adds the documented lines, and uses it."""

import re
import sys
import zipfile
from datetime import datetime, timedelta, timezone

import pytest

from tests.docs.pages import ROOT
from tests.foreign.conftest import PASSWORD

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="the environment's programs are looked for in bin/"),
    pytest.mark.timeout(300),  # s; the first test of a project waits for its installation
]

OF_THE_SITE = ("anymail", "celery", "whitenoise", "csp", "environ", "prometheus_client", "gunicorn", "flasky.settings")
OUTBOX = "/admin/flasky_mail/outboxmessage/"
TABS = ("html", "text", "headers", "source", "attachments", "history")


# --- What is installed --------------------------------------------------------------------------------------------


def test_the_wheel_holds_the_two_apps_whole_and_nothing_else(wheel):
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = {path for app in ("mail", "drill") for path in (ROOT / "flasky" / app).rglob("*") if path.is_file()}
    assert inside == {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    assert {"flasky/mail/py.typed", "flasky/drill/py.typed"} <= inside


@pytest.mark.parametrize("kind", ["templates", "static"])
def test_no_file_of_a_project_takes_the_place_of_one_of_ours_by_its_name(wheel, kind):
    inside = zipfile.ZipFile(wheel).namelist()
    ours = [name.partition(f"/{kind}/")[2] for name in inside if f"/{kind}/" in name]
    assert ours
    assert [name for name in ours if "flasky_mail" not in name.split("/")[:-1]] == []


def test_nothing_but_django_is_needed(project):
    script = f"""
from importlib.util import find_spec
def is_there(name):
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
print([name for name in {OF_THE_SITE!r} if is_there(name)])
"""
    assert project.python(script) == "[]\n"


def test_the_commands_of_others_stay_theirs(project):
    script = "from django.core.management import get_commands; print(get_commands()['runserver'])"
    assert project.manage("shell", "--command", script).splitlines()[-1] == "django.contrib.staticfiles"


# --- Checks and migrations ----------------------------------------------------------------------------------------


def test_the_checks_find_nothing(project):
    assert "no issues" in project.manage("check", "--fail-level=WARNING", "--database=default")
    assert "flasky" not in project.manage("check", "--deploy")


def test_a_mistyped_setting_is_found_and_stops_nothing(project):
    mistyped = project.with_settings("mistyped", "MAIL_WORKER = 2")
    assert "Did you mean MAIL_WORKERS?" in project.manage("migrate", settings=mistyped)


@pytest.mark.parametrize("project", ["6.1"], indirect=True)
def test_an_outbox_without_a_transport_is_told_what_to_add(project):
    alone = project.with_settings("alone", 'del MAILERS["transport"]')
    said = project.manage("check", settings=alone)
    assert "MAILERS has the outbox and no alias `transport`" in said
    assert 'Add to MAILERS "transport"' in said


@pytest.mark.parametrize("field", ["AutoField", "BigAutoField", "SmallAutoField"])
def test_no_migration_is_missing_whatever_the_default_field_is(project, field):
    other = project.with_settings(f"with_{field.lower()}", f'DEFAULT_AUTO_FIELD = "django.db.models.{field}"')
    assert "No changes detected" in project.manage("makemigrations", "flasky_mail", "--check", settings=other)


def test_another_app_may_be_labelled_mail(project):
    script = "from mail.models import Letter; Letter.objects.create(text='Hi'); print(Letter.objects.count())"
    assert project.manage("shell", "--command", script).splitlines()[-1] == "1"
    assert "No changes detected" in project.manage("makemigrations", "--check")


# --- Mail of a served project -------------------------------------------------------------------------------------


def test_mail_arrives_that_a_view_sends(visitor, arrived):
    visitor.get("/send/send_mail/")
    mail = arrived("Your order")
    assert (mail.sender, mail.recipients, mail.text) == ("shop@example.com", ["bob@example.com"], "Thank you.\r\n")


def test_mail_to_the_administrators_arrives(visitor, arrived):
    visitor.get("/send/mail_admins/")
    assert arrived("[Django] Out of stock").recipients == ["ann@example.com"]


def test_mail_from_templates_arrives_without_a_setting_for_them(visitor, arrived):
    visitor.get("/send/send_email/")
    mail = arrived("[Django] Welcome")
    assert (mail.sender, mail.text) == ("webmaster@localhost", "Hello, O'Brien & Co!\r\n")
    assert mail.html == "<p>Hello, O&#x27;Brien &amp; Co!</p>\r\n"


def test_a_password_is_reset_by_the_form(visitor, arrived):
    assert "emailed you instructions" in visitor.post("/accounts/password_reset/", email="ann@example.com").text
    mail = arrived(f"Password reset on {visitor.url.removeprefix('http://')}")
    [link] = re.findall(r"http://\S+", mail.text)
    assert "Enter new password" in visitor.get(link.removeprefix(visitor.url)).text


# --- The admin ----------------------------------------------------------------------------------------------------


@pytest.fixture
def admin(visitor):
    visitor.post("/admin/login/?next=/admin/", username="ann", password=PASSWORD)
    return visitor


@pytest.fixture
def later(site):
    """The key of a message that nobody delivers before tomorrow."""
    tomorrow = datetime.now(timezone.utc) + timedelta(days=1)
    script = f"""
from datetime import datetime, timezone
from django.core.mail import EmailMultiAlternatives
email = EmailMultiAlternatives("Later", "Hello", to=["bob@example.com"])
email.attach_alternative("<p>Hello</p>", "text/html")
email.attach("a.txt", "attached", "text/plain")
email.send_at = datetime.fromtimestamp({tomorrow.timestamp()}, timezone.utc)
email.send()
print(email.outbox_message.pk)
"""
    return site.manage("shell", "--command", script).splitlines()[-1]


def test_every_page_of_the_outbox_is_in_its_admin(admin, later):
    assert "Outbox" in admin.get("/admin/").text
    pages = ["", *(f"?tab={tab}" for tab in ("sent", "failed", "later")), "?q=bob@example.com", "charts/"]
    pages += [f"{later}/change/?tab={tab}" for tab in TABS]
    for page in pages:
        answer = admin.get(OUTBOX + page)
        assert (answer.status_code, answer.url) == (200, admin.url + OUTBOX + page)
        assets = re.findall(r'(?:href|src)="(/static/flasky_mail/[^"]+)"', answer.text)
        assert assets
        assert [admin.get(asset).status_code for asset in assets] == [200] * len(assets)


def test_an_action_is_asked_for_and_done(admin, later):
    act = f"{OUTBOX}act/"
    asked = send(admin, act, action="cancel", message=later)
    [last] = re.findall(r'name="last_action" value="(\d+)"', asked.text)
    done = send(admin, act, action="cancel", message=later, last_action=last, confirmed="1")
    assert done.url == admin.url + OUTBOX
    assert "cancelled" in admin.get(f"{OUTBOX}{later}/change/?tab=history").text.lower()


def send(visitor, path, **fields):
    """Post what a form of the list's page does, which has no page of its own to be got from."""
    fields["csrfmiddlewaretoken"] = visitor.session.cookies["csrftoken"]
    answer = visitor.session.post(visitor.url + path, fields, timeout=60)
    assert answer.status_code == 200
    return answer


# --- Commands -----------------------------------------------------------------------------------------------------


@pytest.fixture
def unserved(project, tmp_path):
    """Settings with a database of which no server knows."""
    settings = project.with_settings("unserved", f'DATABASES["default"]["NAME"] = "{tmp_path}/db.sqlite3"')
    project.manage("migrate", settings=settings)
    return settings


SEND_ONE = "from django.core.mail import send_mail; send_mail({!r}, 'Hello', None, ['bob@example.com'])"


def test_mail_that_waits_is_delivered_requeued_and_pruned_by_commands(project, unserved, mail_server, arrived):
    project.manage("shell", "--command", SEND_ONE.format("By command"), settings=unserved)
    mail_server.replies["bob@example.com"] = ["550 Nobody of this name"]
    project.manage("deliver_mail", settings=unserved, ends_well=False)
    assert "1 queued again." in project.manage("requeue_mail", settings=unserved)
    project.manage("deliver_mail", settings=unserved)
    assert arrived("By command").recipients == ["bob@example.com"]
    assert project.manage("prune_mail", "--days=0", settings=unserved).startswith("1 message")


def test_a_test_mail_says_what_the_server_answers(project, arrived):
    assert "accepted: 250" in project.manage("sendtestemail", "bob@example.com")
    arrived("[Django] Test mail")


def test_the_templates_of_mails_are_looked_through(project):
    samples = project.with_settings("samples", 'MAIL_SAMPLES = {"mail/welcome": "mail.samples.welcome"}')
    said = project.manage("check_mail_templates", settings=samples)
    assert said == "4 templates in 1 language, nothing wrong.\n"


def test_the_drill_kills_and_nothing_is_lost(project):
    with_drill = project.with_settings("with_drill", 'INSTALLED_APPS += ["flasky.drill"]')
    assert "The promise held" in project.manage("drill", "--kills=3", settings=with_drill)


ASK_FOR_A_PAGE_THAT_FAILS = """
from django.test import Client
print(Client(raise_request_exception=False).get("/send/nothing/").status_code)
"""


def test_an_error_is_mailed_to_the_administrators(project, arrived, tmp_path):
    strict = project.with_settings(
        "strict", f'DEBUG, ALLOWED_HOSTS = False, ["*"]\nDATABASES["default"]["NAME"] = "{tmp_path}/db.sqlite3"'
    )
    project.manage("migrate", settings=strict)
    said = project.manage("shell", "--command", ASK_FOR_A_PAGE_THAT_FAILS, settings=strict)
    assert said.splitlines()[-1] == "500"
    project.manage("deliver_mail", settings=strict)
    assert "KeyError" in arrived("[Django] ERROR (EXTERNAL IP): Internal Server Error: /send/nothing/").text


# --- A smaller project --------------------------------------------------------------------------------------------


def test_a_project_without_users_sessions_and_pages_sends_mail(project, arrived, tmp_path):
    bare = project.with_settings(
        "bare",
        'INSTALLED_APPS, MIDDLEWARE, TEMPLATES, ROOT_URLCONF = ["flasky.mail"], [], [], "shop.bare"\n'
        f'DATABASES["default"]["NAME"] = "{tmp_path}/db.sqlite3"\nurlpatterns = []',
    )
    assert "no issues" in project.manage("check", "--fail-level=WARNING", settings=bare)
    project.manage("migrate", settings=bare)
    project.manage("shell", "--command", SEND_ONE.format("Without pages"), settings=bare)
    project.manage("deliver_mail", settings=bare)
    arrived("Without pages")
