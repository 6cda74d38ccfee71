"""Show images in the HTML of a mail that travel with it: {% inline_image "logo.png" %} is where one is.

The tag notes the image while a mail is rendered; the email that is made of it has each image once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from hashlib import sha256
from typing import Any

from django.apps import apps
from django.core.exceptions import SuspiciousFileOperation
from django.core.mail import EmailMultiAlternatives
from django.utils.module_loading import import_string

from flasky.mail.compat import add_related, image_part
from flasky.mail.conf import conf

STATIC_FILES = "django.contrib.staticfiles"
BEGINNINGS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"GIF87a": "gif", b"GIF89a": "gif"}
DOMAIN = "images.invalid"  # of the Content-IDs: they are no addresses

Images = dict[str, Any]  # parts by their Content-IDs

_noted: ContextVar[Images | None] = ContextVar("images", default=None)


@contextmanager
def noting_images() -> Iterator[Images]:
    """Yield the images that what is rendered inside this shows."""
    images: Images = {}
    token = _noted.set(images)
    try:
        yield images
    finally:
        _noted.reset(token)


def note_image(name: str) -> str:
    """Note that the mail that is being rendered shows the static file; return the URL by which its HTML refers to it.

    Raise ValueError if it is no image that mail programs show, too large, or not there.
    """
    images = _noted.get()
    if images is None:
        raise ValueError(f"inline_image {name!r} is not in the HTML of a mail. A page shows it by the tag static.")
    content = _read(name)
    subtype = _subtype_of(name, content)
    if len(content) * 4 // 3 > conf.MAIL_MAX_SIZE:  # in base64
        raise ValueError(
            f"inline_image {name!r} has {len(content):,} bytes, too many for a mail: MAIL_MAX_SIZE allows "
            f"{conf.MAIL_MAX_SIZE:,}, and base64 makes it a third larger. Make the image smaller."
        )
    content_id = f"{sha256(content).hexdigest()[:32]}@{DOMAIN}"
    if content_id not in images:
        file_name = "".join(filter(str.isprintable, name.rpartition("/")[2]))  # a line break would end its header
        images[content_id] = image_part(file_name, content, subtype, content_id)
    return f"cid:{content_id}"


def _read(name: str) -> bytes:
    """Return the content of a static file: of an app's or a project's folder, or of what was collected."""
    if not apps.is_installed(STATIC_FILES):
        raise ValueError(f"inline_image {name!r} is a static file, and INSTALLED_APPS has no {STATIC_FILES}. Add it.")
    try:
        if path := import_string(f"{STATIC_FILES}.finders.find")(name):
            with open(path, "rb") as file:
                return file.read()
        with import_string(f"{STATIC_FILES}.storage.staticfiles_storage").open(name) as file:
            return bytes(file.read())
    except (OSError, SuspiciousFileOperation, TypeError, ValueError) as error:
        reason = f" ({error})" if isinstance(error, OSError) and not isinstance(error, FileNotFoundError) else ""
        raise ValueError(
            f"inline_image {name!r}: there is no such static file that can be read{reason}. Write its path below a "
            f"folder static/ of an app or of STATICFILES_DIRS; manage.py findstatic {name!r} looks where it is."
        ) from error


def _subtype_of(name: str, content: bytes) -> str:
    for beginning, subtype in BEGINNINGS.items():
        if content.startswith(beginning):
            return subtype
    is_svg = name.lower().endswith((".svg", ".svgz")) or b"<svg" in content[:1000].lower()
    if is_svg:
        raise ValueError(f"inline_image {name!r} is an SVG, which most mail programs do not show: make a PNG of it.")
    raise ValueError(
        f"inline_image {name!r} is no PNG, JPEG or GIF: Outlook or Gmail would show nothing. Make one of these of it."
    )


class EmailWithImages(EmailMultiAlternatives):
    """An email whose HTML shows images that are parts of it, as RFC 2387 has them, beside what else is attached."""

    def message(self, *arguments: Any, **options: Any) -> Any:
        images = [part for part in self.attachments if _is_image_of_html(part)]
        others: Any = EmailMultiAlternatives()
        vars(others).update(vars(self), attachments=[part for part in self.attachments if part not in images])
        message = others.message(*arguments, **options)
        bodies = [part for part in message.walk() if part.get_content_type() == "text/html" and not part.get_filename()]
        if images and bodies:
            add_related(bodies[0], list(map(copy, images)))
        return message


def _is_image_of_html(part: Any) -> bool:
    return not isinstance(part, tuple) and DOMAIN in str(part["Content-ID"] or "")
