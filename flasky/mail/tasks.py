"""Show Celery's autodiscovery the task, which looks for it here."""

from flasky.mail.dispatchers.celery import deliver

__all__ = ["deliver"]
