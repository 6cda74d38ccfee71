"""Make a recorded reply of a due row."""

from flasky.mail.delivery.engine import deliver_due

__all__ = ["deliver_due"]
