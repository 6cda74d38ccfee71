"""Say in a mail where the site is: {% site_url as site %}"""

from django import template

from flasky.site.address import site_url

register = template.Library()
register.simple_tag(site_url)
