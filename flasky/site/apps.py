from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "flasky.site"
    label = "flasky_site"
