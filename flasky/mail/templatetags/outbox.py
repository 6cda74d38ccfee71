from typing import Any

from django import template

from flasky.mail.status.overview import vitals

register = template.Library()


@register.inclusion_tag("outbox/strip.html", takes_context=True)
def outbox_strip(context: template.Context) -> dict[str, Any]:
    """Show the strip to whoever may look at the outbox, nothing to others."""
    user = context["request"].user
    may_look = user.has_perm("mail.view_outboxmessage") or user.has_perm("mail.change_outboxmessage")
    return {"vitals": vitals() if may_look else None}
