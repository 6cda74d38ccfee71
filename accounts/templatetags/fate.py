"""{% fate_of visitor.cause as fate %}"""

from django import template

from accounts.notification import Fate, fate_of
from accounts.visitor import visitor_of

register = template.Library()
register.simple_tag(fate_of)


@register.simple_tag(takes_context=True)
def fate_of_visitor(context: template.Context) -> Fate | None:
    """Return what became of the mail that the visitor has caused last; None without one."""
    return fate_of(visitor_of(context["request"]).cause)
