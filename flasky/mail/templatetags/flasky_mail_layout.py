"""What the layout of a mail is made with: {% inlined "flasky_mail/mail.css" %} … {% endinlined %}

And images that travel with it: <img src="{% inline_image "logo.png" %}" alt="Flasky">
"""

from typing import Any

from django import template
from django.template.base import FilterExpression, NodeList, Parser, Token
from django.utils.safestring import SafeString, mark_safe

from flasky.mail.images import note_image
from flasky.mail.styles import inline

register = template.Library()
register.simple_tag(note_image, name="inline_image")


class Inlined(template.Node):
    def __init__(self, sheet: FilterExpression, nodelist: NodeList) -> None:
        self.sheet, self.nodelist = sheet, nodelist

    def render(self, context: Any) -> SafeString:
        css = context.template.engine.get_template(self.sheet.resolve(context)).source
        return mark_safe(inline(self.nodelist.render(context), css))  # noqa: S308 (rendered, and so escaped, already)


@register.tag
def inlined(parser: Parser, token: Token) -> Inlined:
    """Write the rules of a style sheet, which is a template by its name, into the elements between the tags."""
    _tag, sheet = token.split_contents()
    nodelist = parser.parse(("endinlined",))
    parser.delete_first_token()
    return Inlined(parser.compile_filter(sheet), nodelist)
