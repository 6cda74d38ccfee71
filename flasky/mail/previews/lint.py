"""Find what is wrong with the templates of a mail, by rendering them with every sample in every language.

An undefined variable is found wherever a sample reaches it, in front of a filter as well: `|default:"you"` is for what
is empty, and would hide a mistyped name for ever. A tag that asks whether something exists, such as `{% if %}` or
`{% firstof %}`, may ask for what does not.
"""

import re
from contextlib import nullcontext
from html.parser import HTMLParser
from itertools import product
from typing import Any

from django.conf import settings
from django.template import Context, Engine, Library
from django.template.backends.django import DjangoTemplates
from django.template.base import FilterExpression, Parser, Token
from django.template.defaulttags import ForNode, RegroupNode, do_for, regroup
from django.template.utils import EngineHandler
from django.utils import translation
from django.utils.formats import number_format
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from flasky.mail.images import noting_images
from flasky.mail.previews.kinds import NAMES, TEXTS, languages, sample_context, templates

LARGEST = 102_000  # bytes of HTML; Gmail cuts off what is longer
LONGEST_QUOTE = 200  # characters of a URL or of an error

# A URL with a host, one with a scheme that needs none, a place in the mail itself.
ABSOLUTE = re.compile(r"\s*([a-z][a-z0-9+.-]*://[^/?#]|(mailto|tel|sms|cid|data):|#.)", re.IGNORECASE)
WITH_URL = ("href", "src", "background", "poster", "action")
URLS_IN_STYLE = re.compile(r"\burl\(\s*[\"']?([^\"')]*)", re.IGNORECASE)

register = Library()


def problems(kind: str) -> list[str]:
    """Return a sentence for everything that is wrong with this kind of mail."""
    text, html = f"{kind}.txt", f"{kind}.html"
    existing = templates()
    found: list[str] = []
    for name, twin in ((text, html), (html, text)):
        if name in existing:
            found += lint_template(kind, name)
        else:
            sentence = _("%(template)s is missing: every mail is sent as text and as HTML. Write it beside %(twin)s.")
            found.append(sentence % {"template": name, "twin": twin})
    return found


def lint_template(kind: str, name: str) -> list[str]:
    """Return a sentence for everything that is wrong with one template; the last one if it cannot be rendered."""
    undefined = Undefined()
    engine = strict_engine(undefined)
    autoescape = engine.autoescape and name.endswith(".html")  # as render_email does
    found: dict[str, None] = {}  # each once, in the order in which they were found
    largest = 0
    for language, sample in product(languages(), TEXTS):
        try:
            with translation.override(language), noting_images() if name.endswith(".html") else nullcontext():
                context = Context(sample_context(kind, TEXTS[sample]), autoescape=autoescape)
                rendered = engine.get_template(name).render(context)
        except Exception as error:  # whatever a template or a sample raises
            reason = brief(f"{type(error).__name__}: {error}")
            sentence = _("%(template)s cannot be rendered with the sample %(sample)s in %(language)s: %(reason)s")
            values = {"template": name, "sample": NAMES[sample], "language": language, "reason": reason}
            found[sentence % values] = None
            break
        if name.endswith(".html"):
            found |= dict.fromkeys(wrong_in_html(name, rendered, sample))
            largest = max(largest, len(rendered.encode()))
    if largest > LARGEST:
        sentence = _(
            "%(template)s has %(size)s bytes of HTML, and Gmail cuts a mail off after %(limit)s. Shorten it, or link "
            "to what is long."
        )
        size, limit = (number_format(count, use_l10n=True, force_grouping=True) for count in (largest, LARGEST))
        found[sentence % {"template": name, "size": size, "limit": limit}] = None
    return [*undefined.sentences(kind, name), *found]


def strict_engine(undefined: "Undefined") -> Engine:
    """Return an engine like the project's default one that notes undefined variables; the project's stays as it is."""
    backends = EngineHandler(settings.TEMPLATES).all()
    engine = next(backend.engine for backend in backends if isinstance(backend, DjangoTemplates))
    engine.string_if_invalid = undefined
    engine.template_builtins.append(register)
    return engine


class Undefined(str):
    """What Django formats with a variable's name and prints in its place, if the variable is undefined."""

    names: dict[str, None]

    def __new__(cls) -> "Undefined":
        new = super().__new__(cls, "%s")
        new.names = {}
        return new

    def __mod__(self, variable: Any) -> str:
        self.names[str(variable)] = None
        return ""

    def sentences(self, kind: str, template: str) -> list[str]:
        sentence = _(
            "%(template)s uses the undefined variable %(variable)s. Correct its name, or add it to the sample of "
            "%(kind)s in MAIL_SAMPLES and to send_email's arguments."
        )
        return [sentence % {"template": template, "variable": name, "kind": kind} for name in self.names]


class Strict(FilterExpression):
    """Notes what is undefined even for a tag that would take it for empty."""

    def resolve(self, context: Context, ignore_failures: bool = False) -> Any:
        return super().resolve(context)


@register.tag("for")
def strict_for(parser: Parser, token: Token) -> ForNode:
    node = do_for(parser, token)
    node.sequence = Strict(str(node.sequence), parser)
    return node


@register.tag("regroup")
def strict_regroup(parser: Parser, token: Token) -> RegroupNode:
    node = regroup(parser, token)
    node.target = Strict(str(node.target), parser)
    return node


def brief(text: str, said: str = "") -> str:
    """Return the text in one line of a length that can be read, without what a person said."""
    return Truncator(" ".join(text.replace(said or "…", "…").split())).chars(LONGEST_QUOTE)


def wrong_in_html(name: str, html: str, sample: str) -> list[str]:
    reader = Reader(html)
    said = TEXTS[sample]
    mute = _('%(template)s has an image without alt: "%(image)s". Say what it shows; alt="" if it is decoration.')
    found = [mute % {"template": name, "image": brief(image, said)} for image in reader.mute]
    relative = _(
        '%(template)s has the relative URL "%(url)s", and a mail is on no site. Begin it with https:// and the host.'
    )
    found += [relative % {"template": name, "url": brief(url, said)} for url in reader.urls if not ABSOLUTE.match(url)]
    if sample == "markup" and said in html:
        sentence = _(
            "%(template)s lets a person's text be markup. Leave out what keeps it from being escaped (safe, "
            "autoescape)."
        )
        found.append(sentence % {"template": name})
    return found


class Reader(HTMLParser):
    """Collects the URLs of a mail, and those of its images that have no alternative text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.mute: list[str] = []
        self.urls: list[str] = []
        self.tag = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tag = tag
        values = {name: value or "" for name, value in attributes}
        if tag == "img" and "alt" not in values:
            self.mute.append(values.get("src", ""))
        self.urls += [values[name] for name in WITH_URL if name in values]
        self.urls += URLS_IN_STYLE.findall(values.get("style", ""))

    def handle_data(self, data: str) -> None:
        if self.tag == "style":
            self.urls += URLS_IN_STYLE.findall(data)
