"""{% fate_of visitor.cause as fate %}"""

from django import template

from accounts.notification import fate_of

register = template.Library()
register.simple_tag(fate_of)
