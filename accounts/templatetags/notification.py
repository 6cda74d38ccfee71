"""Load what became of the notification: {% notification_of visitor.cause as notification %}"""

from django import template

from accounts.notification import Notification, notification_of
from accounts.visitor import visitor_of

register = template.Library()
register.simple_tag(notification_of)


@register.simple_tag(takes_context=True)
def notification_of_visitor(context: template.Context) -> Notification | None:
    """Return what became of the mail that the visitor has caused last; None without one."""
    return notification_of(visitor_of(context["request"]).cause)
