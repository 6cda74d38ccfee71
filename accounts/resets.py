"""Let people choose a new password by a mail in the layout of all others; limit how many of those they can cause."""

import logging
from typing import Any

from django.conf import settings
from django.contrib.auth.forms import PasswordResetForm
from django.contrib.auth.views import PasswordResetView
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from accounts.models import User
from flasky.guard.clients import network
from flasky.guard.limits import Limit, take
from flasky.mail import send_email
from flasky.site.address import site_url

logger = logging.getLogger(__name__)

LINK = gettext_noop("Forgotten your login credentials?")  # of the admin's log-in page: Django has it in no Chinese


class ResetForm(PasswordResetForm):
    def send_mail(
        self,
        subject_template_name: str,
        email_template_name: str,
        context: dict[str, Any],
        from_email: str | None,
        to_email: str,
        html_email_template_name: str | None = None,
    ) -> None:
        """Send ours instead of Django's, in the user's language, else in that of the page.

        The site's address is never the request's: whoever asks could make the link, with its token, lead elsewhere.
        """
        site = site_url()
        if not site:
            logger.error(
                "No mail to choose a new password was sent: ALLOWED_HOSTS names no whole host, so nobody knows where "
                "its link should lead. Set FLASKY_SITE_URL, for example to https://www.example.com."
            )
            return
        link = reverse("password_reset_confirm", args=[context["uid"], context["token"]])
        send_email(
            to_email,
            _("Choose a new password"),
            "mail/password_reset",
            cause=context["user"],
            priority="urgent",
            language=context["user"].language or translation.get_language() or "",
            user=context["user"],
            reset_url=f"{site}{link}",
            hours=settings.PASSWORD_RESET_TIMEOUT // 3600,
        )


class ResetView(PasswordResetView):
    form_class = ResetForm

    def form_valid(self, form: Any) -> Any:
        """Count first, whether there is such a user or not: the answer must not tell."""
        seconds = settings.LOGIN_PERIOD
        take(
            Limit("resets by mail address", form.cleaned_data["email"].lower(), settings.LOGINS_PER_NAME, seconds),
            Limit("resets by address", network(self.request), settings.LOGINS_PER_ADDRESS, seconds),
        )
        return super().form_valid(form)


def sample(text: str) -> dict[str, Any]:
    """Return what the mail is shown with as a sample."""
    return {"user": User(username=text), "reset_url": "https://www.example.com/admin/reset/MQ/token/", "hours": 24}
