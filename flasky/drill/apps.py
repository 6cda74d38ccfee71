"""Register the drill with Django."""

from django.apps import AppConfig


class DrillConfig(AppConfig):
    name = "flasky.drill"
    label = "flasky_drill"
