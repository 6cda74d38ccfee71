from typing import Any

from django import template

from flasky.mail.status.overview import vitals
from flasky.mail.web.permissions import may_view

register = template.Library()


@register.inclusion_tag("outbox/strip.html", takes_context=True)
def outbox_strip(context: template.Context) -> dict[str, Any]:
    """Show the strip to whoever may look at the outbox, nothing to others."""
    return {"vitals": vitals() if may_view(context["request"]) else None}
