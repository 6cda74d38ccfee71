import pytest

from tests.mail.digests.mails import KIND

TEMPLATES = {
    f"{KIND}_digest.txt": "{% for mail in mails %}- {{ mail.name }}\n{% endfor %}",
    f"{KIND}_digest.html": "<ul>{% for mail in mails %}<li>{{ mail.name }}</li>{% endfor %}</ul>",
    f"{KIND}_digest_subject.txt": (
        "{% load i18n %}{{ count }} new:\n{% for mail in mails %}{{ mail.name }} {% endfor %}{% translate 'Yes' %}"
    ),
}


@pytest.fixture(autouse=True)
def digests(settings, tmp_path):
    """Let the third mail within ten minutes and those after it be gathered; return the folder of the templates."""
    settings.MAIL_DIGEST_AFTER, settings.MAIL_DIGEST_WINDOW, settings.MAIL_DIGEST_WAIT = 2, 600, 300
    for name, content in TEMPLATES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, "utf-8")
    settings.TEMPLATES = [{**engine, "DIRS": [*engine["DIRS"], tmp_path]} for engine in settings.TEMPLATES]
    return tmp_path
