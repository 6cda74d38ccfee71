"""The outbox under the name that Django's tests expect of a back end, saying when it is at work."""

from flasky.mail.backend import OutboxEmailBackend


class EmailBackend(OutboxEmailBackend):
    is_at_work = False

    def send_messages(self, email_messages):
        EmailBackend.is_at_work = True
        try:
            return super().send_messages(email_messages)
        finally:
            EmailBackend.is_at_work = False
