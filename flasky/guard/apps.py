"""Name the app for Django."""

from django.apps import AppConfig


class GuardConfig(AppConfig):
    name = "flasky.guard"
    label = "guard"
