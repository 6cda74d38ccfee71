"""What the back ends of Anymail's providers are told: to ask once and in time, and which headers to leave out."""

from typing import Any

from django.conf import settings

OURS = ("message-id", "date", "auto-submitted")

# Anymail's name of the provider: those that it does not get. All providers make a Message-ID and a Date of their own.
REFUSED = {
    # 400, "Header cannot be customized using the Headers collection": github.com/symfony/symfony/issues/44000
    "Mailjet": OURS,
    # Any header at all is for Enterprise accounts only: anymail/backends/mailersend.py, developers.mailersend.com
    "MailerSend": OURS,
    # "These headers cannot be one of the reserved headers", which its documentation does not name: docs.mailtrap.io
    "Mailtrap": ("message-id", "date"),
}


def ask_once_and_in_time(backend: Any) -> None:
    """Let a provider's back end wait for MAIL_TIMEOUT and send one request for each try."""
    modules = {kind.__module__ for kind in type(backend).__mro__}
    if "anymail.backends.base_requests" in modules:
        backend.timeout = settings.MAIL_TIMEOUT
    if "anymail.backends.amazon_ses" in modules:
        given = backend.client_params["config"]
        # boto3 would try again by itself, in silence, when the first request may have been obeyed. Whoever configures
        # it in AMAZON_SES_CLIENT_PARAMS knows better.
        ours = type(given)(
            connect_timeout=settings.MAIL_TIMEOUT,
            read_timeout=settings.MAIL_TIMEOUT,
            retries={"total_max_attempts": 1},
        )
        backend.client_params = {**backend.client_params, "config": ours.merge(given)}


def leave_out_what_is_refused(email: Any, backend: Any) -> None:
    """Take from the email those of our own headers that would make the provider refuse it.

    What somebody has set himself stays: a provider that does not take it says so.
    """
    refused = REFUSED.get(getattr(backend, "esp_name", ""), ())
    given = {name.lower() for name in getattr(email, "given_headers", ())}
    email.extra_headers = {
        name: value
        for name, value in email.extra_headers.items()
        if name.lower() not in refused or name.lower() in given or not _is_ours(name, value)
    }


def _is_ours(name: str, value: str) -> bool:
    return name.lower() != "auto-submitted" or value == "auto-generated"
