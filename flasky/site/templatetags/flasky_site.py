"""Say where the site is, {% site_url as site %}, and what it speaks: {% languages as known %}."""

from django import template
from django.conf import settings

from flasky.site.address import site_url

register = template.Library()
register.simple_tag(site_url)


@register.simple_tag
def languages() -> list[tuple[str, str]]:
    """Return each language's code and its own name for itself, which is in no catalogue."""
    return settings.LANGUAGES
