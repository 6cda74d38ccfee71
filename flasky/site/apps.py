"""Register the site's own checks with Django."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "flasky.site"
    label = "flasky_site"

    def ready(self) -> None:
        from flasky.site import checks, spelling  # noqa: F401 (importing the checks registers them)
