"""List every kind of mail of the project, with sample content to render it with.

A kind is a pair of templates `mail/NAME.txt` and `mail/NAME.html`, in any template directory of the project or of an
app. Layouts and parts of mails are named `base`, `base_…` or `_…`; `NAME_digest_subject.txt` is a subject.

A kind is filled with a `user`. One that needs anything else has an entry in `conf.MAIL_SAMPLES`, the dotted path
of a function such as

    def order(text):
        return {"order": Order(number=12, customer=text)}

It returns exactly what `send_email` gets as context, with `text` wherever a person's words would be: the preview
calls it once for each of TEXTS. An empty text asks for a sample in which everything optional is missing.
"""

from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import global_settings, settings
from django.contrib.auth import get_user_model
from django.core.mail import EmailMultiAlternatives
from django.template import Engine
from django.utils import translation
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy

from flasky.mail import DIGEST, render_email, rendered_subject
from flasky.mail.conf import conf
from flasky.mail.runtime import clock

OWN_SAMPLES = {"mail/flasky_mail/test": "flasky.mail.previews.kinds.test_mail"}  # of the app's own mails
SUBJECT = "_digest_subject.txt"  # the end of a name
USUAL = "usual"
TEXTS = {
    USUAL: "Zoë O'Brien <test>",
    "very-long": "Donaudampfschifffahrtsgesellschaftskapitän" * 8,
    "right-to-left": "עברית, وكلمات عربية, and English (42)!",
    "emoji": "👩‍👩‍👧‍👦 Zoë 🏳️‍🌈🎉",
    "markup": "<script>alert(1)</script><b>&amp;</b> & {{ user.password }} {% now 'Y' %}",
    "quotes": "\"double\" 'single' `back` „low“ «angle» \\",
    "missing": "",
}
NAMES = {  # of these, as a page shows them
    USUAL: gettext_lazy("usual"),
    "very-long": gettext_lazy("very-long"),
    "right-to-left": gettext_lazy("right-to-left"),
    "emoji": gettext_lazy("emoji"),
    "markup": gettext_lazy("markup"),
    "quotes": gettext_lazy("quotes"),
    "missing": gettext_lazy("missing"),
}


def kinds() -> list[str]:
    """Return the kinds of mail, by the name that `send_email` knows them by, such as `mail/new_user`."""
    return sorted({name.rpartition(".")[0] for name in templates()})


def languages() -> dict[str, str]:
    """Return the name of each language that mails are checked in, by its code: the one they are sent in at least."""
    chosen = [] if settings.LANGUAGES == global_settings.LANGUAGES else settings.LANGUAGES  # Django's are a hundred
    return dict(chosen) or {settings.LANGUAGE_CODE: settings.LANGUAGE_CODE}


def templates() -> list[str]:
    """Return the names of the templates that are a mail's text or HTML."""
    loaders = Engine.get_default().template_loaders
    folders = {Path(folder) for loader in loaders for folder in getattr(loader, "get_dirs", tuple)()}
    files = [(folder, path) for folder in folders for path in folder.glob("mail/**/*") if is_mail(path)]
    return sorted({path.relative_to(folder).as_posix() for folder, path in files})


def is_mail(path: Path) -> bool:
    is_part = path.stem == "base" or path.name.startswith(("base_", "_")) or path.name.endswith(SUBJECT)
    return path.suffix in (".txt", ".html") and not is_part


def sample_email(kind: str, language: str, sample: str) -> EmailMultiAlternatives:
    """Return the email that `send_email` would send in this language with this one of TEXTS."""
    with translation.override(language):
        context = sample_context(kind, TEXTS[sample])
        subject = rendered_subject(kind, **context) if kind.endswith(DIGEST) else ""
        return render_email("ann@example.com", subject or "Sample", kind, **context)


def sample_context(kind: str, text: str = TEXTS[USUAL]) -> dict[str, Any]:
    """Return made-up content for a mail of this kind, with `text` where a person's words would be."""
    return import_string((OWN_SAMPLES | conf.MAIL_SAMPLES).get(kind, "flasky.mail.previews.kinds.user"))(text)


def user(text: str) -> dict[str, Any]:
    if not apps.is_installed("django.contrib.auth"):
        return {}
    model = get_user_model()
    return {"user": model(**{model.USERNAME_FIELD: text})}


def test_mail(text: str) -> dict[str, Any]:
    return {"host": text, "sent_at": clock.now()}
