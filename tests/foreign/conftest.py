import pytest

from tests.conftest import wait_until
from tests.foreign.project import VERSIONS, Project, build_wheel
from tests.running_site import Visitor
from tests.smtp_server import SmtpServer

PASSWORD = "only for this test"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def mail_server():
    with SmtpServer() as server:
        yield server


@pytest.fixture(scope="module", params=VERSIONS)
def project(request, tmp_path_factory, wheel, mail_server):
    """A project that has migrated, with Ann as its administrator."""
    project = Project(tmp_path_factory.mktemp("project"), wheel, request.param, mail_server)
    project.manage("makemigrations", "mail")
    project.manage("migrate")
    project.environment["DJANGO_SUPERUSER_PASSWORD"] = PASSWORD
    project.manage("createsuperuser", "--noinput", "--username=ann", "--email=ann@example.com")
    return project


@pytest.fixture(scope="module")
def site(project):
    """The project, served by its own runserver."""
    with project.served():
        yield project


@pytest.fixture
def visitor(site):
    return Visitor(site)


@pytest.fixture
def arrived(mail_server):
    """Wait for a mail at the mail server by its subject, and return it; the next test waits for one of its own."""

    def mail(subject):
        def found():
            return [mail for mail in mail_server.mails if mail.message["Subject"] == subject]

        wait_until(found)
        return found()[-1]

    mail_server.mails.clear()
    return mail
