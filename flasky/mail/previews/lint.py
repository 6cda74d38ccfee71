"""Find what is wrong with the templates of a mail, by rendering them with every sample in every language.

An undefined variable is found wherever a sample reaches it, in front of a filter as well: `|default:"you"` is for what
is empty, and would hide a mistyped name for ever. A tag that asks whether something exists, such as `{% if %}` or
`{% firstof %}`, may ask for what does not.
"""

import re
from html.parser import HTMLParser
from itertools import product
from typing import Any

from django.conf import settings
from django.template import Context, Library
from django.template.backends.django import DjangoTemplates
from django.template.base import FilterExpression, Parser, Token
from django.template.defaulttags import ForNode, RegroupNode, do_for, regroup
from django.template.utils import EngineHandler
from django.utils import translation
from django.utils.text import Truncator

from flasky.mail.previews.kinds import TEXTS, languages, sample_context, templates

LARGEST = 102_000  # bytes of HTML; Gmail cuts off what is longer
SHOWN = 200  # characters of an address or of an error

# An address with a host, one with a scheme that needs none, a place in the mail itself.
ABSOLUTE = re.compile(r"\s*([a-z][a-z0-9+.-]*://[^/?#]|(mailto|tel|sms|cid|data):|#.)", re.IGNORECASE)
WITH_ADDRESS = ("href", "src", "background", "poster", "action")
ADDRESSES_IN_STYLE = re.compile(r"\burl\(\s*[\"']?([^\"')]*)", re.IGNORECASE)

register = Library()


def problems(kind: str) -> list[str]:
    """Return a sentence for everything that is wrong with this kind of mail."""
    text, html = f"{kind}.txt", f"{kind}.html"
    existing = templates()
    found: list[str] = []
    for name, twin in ((text, html), (html, text)):
        if name in existing:
            found += proofread(kind, name)
        else:
            found.append(f"{name} is missing: every mail is sent as text and as HTML. Write it beside {twin}.")
    return found


def proofread(kind: str, name: str) -> list[str]:
    """Return a sentence for everything that is wrong with one template; the last one if it cannot be rendered."""
    undefined = Undefined()
    engines = strict_engines(undefined)
    engine = engines["text"] if name.endswith(".txt") else engines.all()[0]  # as render_email chooses them
    found: dict[str, None] = {}  # each once, in the order in which they were found
    largest = 0
    for language, sample in product(languages(), TEXTS):
        try:
            with translation.override(language):
                rendered = engine.get_template(name).render(sample_context(kind, TEXTS[sample]))
        except Exception as error:  # whatever a template or a sample raises
            reason = brief(f"{type(error).__name__}: {error}")
            found[f"cannot be rendered with the sample {sample} in {language}: {reason}"] = None
            break
        if name.endswith(".html"):
            found |= dict.fromkeys(wrong_in_html(rendered, sample))
            largest = max(largest, len(rendered.encode()))
    if largest > LARGEST:
        found[
            f"has {largest:,} bytes of HTML, and Gmail cuts a mail off after {LARGEST:,}. "
            "Shorten it, or link to what is long."
        ] = None
    return [f"{name} {sentence}" for sentence in [*undefined.sentences(kind), *found]]


def strict_engines(undefined: "Undefined") -> EngineHandler:
    """Return engines like those of the settings that note undefined variables; the project's own stay as they are."""
    engines = EngineHandler(settings.TEMPLATES)
    for backend in engines.all():
        if isinstance(backend, DjangoTemplates):
            backend.engine.string_if_invalid = undefined
            backend.engine.template_builtins.append(register)
    return engines


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

    def sentences(self, kind: str) -> list[str]:
        remedy = f"Correct its name, or add it to the sample of {kind} in MAIL_SAMPLES and to send_email's arguments."
        return [f"uses the undefined variable {name}. {remedy}" for name in self.names]


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
    return Truncator(" ".join(text.replace(said or "…", "…").split())).chars(SHOWN)


def wrong_in_html(html: str, sample: str) -> list[str]:
    reader = Reader(html)
    said = TEXTS[sample]
    found = [
        f'has an image without alt: "{brief(image, said)}". Say what it shows; alt="" if it is decoration.'
        for image in reader.mute
    ]
    found += [
        f'has the relative address "{brief(address, said)}", and a mail is on no site. '
        "Begin it with https:// and the host."
        for address in reader.addresses
        if not ABSOLUTE.match(address)
    ]
    if sample == "markup" and said in html:
        found.append("lets a person's text be markup. Leave out what keeps it from being escaped (safe, autoescape).")
    return found


class Reader(HTMLParser):
    """Collects the addresses of a mail, and those of its images that have no alternative text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.mute: list[str] = []
        self.addresses: list[str] = []
        self.tag = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tag = tag
        values = {name: value or "" for name, value in attributes}
        if tag == "img" and "alt" not in values:
            self.mute.append(values.get("src", ""))
        self.addresses += [values[name] for name in WITH_ADDRESS if name in values]
        self.addresses += ADDRESSES_IN_STYLE.findall(values.get("style", ""))

    def handle_data(self, data: str) -> None:
        if self.tag == "style":
            self.addresses += ADDRESSES_IN_STYLE.findall(data)
