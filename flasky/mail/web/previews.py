"""Show each kind of mail with its samples, in HTML and text. Only with DEBUG; nothing is stored."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from flasky.mail import DIGEST
from flasky.mail.previews.kinds import NAMES, TEXTS, USUAL, kinds, languages, sample_email
from flasky.mail.previews.lint import problems
from flasky.mail.web.links import mailbox_pages
from flasky.mail.web.mailbox import debug_only
from flasky.mail.web.preview import sandboxed, with_images
from flasky.mail.wire.mime import Attachment


@debug_only
@require_safe
def templates(request: HttpRequest) -> HttpResponse:
    url = mailbox_pages(request)
    context = {
        "mails": [{"kind": kind, "url": url("template", kind), "problems": len(problems(kind))} for kind in kinds()],
        "languages": languages().items(),
        "samples": NAMES.items(),
        "list_url": url("list"),
    }
    return render(request, "flasky_mail/mailbox/templates.html", context)


@debug_only
@require_safe
def template(request: HttpRequest, kind: str) -> HttpResponse:
    language = request.GET.get("language", next(iter(languages())))
    require_known(kind, language)
    url = mailbox_pages(request)
    context = {
        "kind": kind,
        "language": language,
        "languages": languages().items(),
        "problems": problems(kind),
        "previews": [
            preview(kind, language, sample) | {"name": name, "frame_url": url("template_html", language, sample, kind)}
            for sample, name in NAMES.items()
        ],
        "templates_url": url("templates"),
    }
    return render(request, "flasky_mail/mailbox/template.html", context)


def preview(kind: str, language: str, sample: str) -> dict[str, Any]:
    try:
        email = sample_email(kind, language, sample)
        return {"sample": sample, "text": email.body, "subject": email.subject if kind.endswith(DIGEST) else ""}
    except Exception as error:  # whatever a template or a sample raises
        return {"sample": sample, "error": f"{type(error).__name__}: {error}"}


@debug_only
@require_safe
def html(request: HttpRequest, language: str, sample: str, kind: str) -> HttpResponse:
    require_known(kind, language, sample)
    email = sample_email(kind, language, sample)
    [alternative] = email.alternatives
    images: list[Any] = list(email.attachments)  # a template attaches nothing else
    attachments = [Attachment(number, part) for number, part in enumerate(images, start=1)]
    return sandboxed(with_images(str(alternative[0]), attachments))


def require_known(kind: str, language: str, sample: str = USUAL) -> None:
    if kind not in kinds() or language not in languages() or sample not in TEXTS:
        raise Http404
