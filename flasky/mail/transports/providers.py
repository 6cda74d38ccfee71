"""Know the providers that Anymail has: what each takes of what we add, and how to ask it once and in time."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from flasky.mail.conf import conf
from flasky.mail.transports.in_time import keep_time, read_beginning, timed, within

OUTBOX_ID = "outbox_id"  # the name in the metadata under which the message's number travels
MOST_METADATA = 8  # entries of somebody's own beside which ours has room: Postmark and Unisender Go take ten, with one
# of Anymail's
KEYS = uuid.UUID("3f2c7f0e-5a55-4c0c-9d8b-2f1f0f6f9a51")  # the namespace of our idempotency keys


@dataclass(frozen=True)
class Provider:
    headers: frozenset[str]  # of those that we add to a mail: which it is known to take
    has_metadata: bool
    key: str = ""  # where it takes an idempotency key: in a header of the request ("http") or of the mail ("mail")
    needs: tuple[str, ...] = ("api_key",)  # what Anymail's back end must have been given
    source: str = ""


def _provider(headers: str, metadata: bool, **more: Any) -> Provider:
    return Provider(frozenset(headers.split()), metadata, **more)


# Anymail's name of each. All make a Message-ID and a Date of their own. Where somebody's document says of a provider
# that it keeps these, or any header, it is named; of the others nothing is known, and they get none.
PROVIDERS = {
    "Amazon SES": _provider(
        "message-id date auto-submitted",  # in the mail itself, which travels as it is
        True,
        needs=(),
        source="docs.aws.amazon.com/ses/latest/dg/header-fields.html",
    ),
    "Brevo": _provider(
        "",  # "custom headers (not the standard headers)"
        True,
        key="mail",  # for 30 minutes, then duplicate_parameter
        source="developers.brevo.com/reference/sendtransacemail, /docs/heterogenous-versions-batch-emails",
    ),
    "MailerSend": _provider(
        "",  # any header at all is for Enterprise accounts only
        False,
        needs=("api_token",),
        source="anymail/backends/mailersend.py; developers.mailersend.com",
    ),
    "Mailgun": _provider("message-id auto-submitted", True, source="symfony/mailgun-mailer: all but the addresses"),
    "Mailjet": _provider(
        "",  # 400, "Header cannot be customized using the Headers collection"
        True,
        needs=("api_key", "secret_key"),
        source="github.com/symfony/symfony/issues/44000",
    ),
    "Mailtrap": _provider(
        "auto-submitted",  # none of "the reserved headers", which its documentation does not name
        True,
        needs=("api_token",),
        source="docs.mailtrap.io",
    ),
    "Mandrill": _provider("auto-submitted", True, source="mailchimp.com/developer/transactional: most are allowed"),
    "Postal": _provider(
        "message-id date auto-submitted",  # it puts its own in the place of the first
        False,
        needs=("api_key", "api_url"),
        source="github.com/postalserver/postal, app/models/outgoing_message_prototype.rb",
    ),
    "Postmark": _provider(
        "message-id auto-submitted",
        True,
        needs=("server_token",),
        source="postmarkapp.com/support/article/1008: Message-ID; what-is-an-idempotency-key: it has none",
    ),
    "Resend": _provider(
        "auto-submitted",
        True,
        key="http",  # for 24 hours
        source="resend.com/docs/dashboard/emails/idempotency-keys, /custom-headers",
    ),
    "Scaleway": _provider("", True, needs=("secret_key", "project_id"), source="nothing is said of it"),
    "SendGrid": _provider("message-id auto-submitted", True, source="docs.sendgrid.com: the reserved headers"),
    "SparkPost": _provider(
        "auto-submitted",  # what it does not take, it leaves out without a word
        True,
        source="anymail.dev/en/stable/esps/sparkpost: extra header limitations",
    ),
    "Unisender Go": _provider("", True, needs=("api_key", "api_url"), source="nothing is said of it"),
}
PROVIDERS["SendinBlue"] = PROVIDERS["Brevo"]  # its former name
UNKNOWN = _provider("", False, needs=())  # one that Anymail or somebody has added since: it gets nothing of ours

OURS = {"message-id", "date", "auto-submitted"}


def provider_of(backend: Any) -> Provider | None:
    """Return what is known of the provider that the back end sends to; None if it is none of Anymail's."""
    name = getattr(backend, "esp_name", None)
    return None if name is None else PROVIDERS.get(name, UNKNOWN)


# What we add


def fit_to_provider(email: Any, backend: Any, number: int | None) -> None:
    """Leave out what the provider may refuse of ours, and let the message's number travel, and a key for repeats.

    What somebody has set stays: a provider that does not take it says so.
    """
    provider = provider_of(backend)
    if provider is None:
        return
    key = idempotency_key(email, number)
    is_bulk = backend.esp_name == "Amazon SES" and getattr(email, "template_id", None)  # it builds the mail itself
    _leave_out(email, frozenset() if is_bulk else provider.headers)
    if provider.has_metadata and number is not None:
        _add_metadata(email, backend, number)
    if provider.key == "mail" and not _has(email.extra_headers, "idempotencykey"):
        email.extra_headers["idempotencyKey"] = key
    if provider.key == "http":
        backend.open()  # otherwise there is no session yet
        backend.session.headers["Idempotency-Key"] = key


def idempotency_key(email: Any, number: int | None) -> str:
    """Return the same for each try of a message for the same part of its recipients, and for nothing else."""
    identity = next((value for name, value in email.extra_headers.items() if name.lower() == "message-id"), "")
    return str(uuid.uuid5(KEYS, " ".join([str(number), str(identity), *sorted(email.recipients())])))


def _leave_out(email: Any, but: frozenset[str]) -> None:
    given = {name.lower() for name in getattr(email, "given_headers", ())}
    email.extra_headers = {
        name: value
        for name, value in email.extra_headers.items()
        if name.lower() not in OURS - but or name.lower() in given or not _is_ours(name, value)
    }


def _is_ours(name: str, value: str) -> bool:
    return name.lower() != "auto-submitted" or value == "auto-generated"


def _add_metadata(email: Any, backend: Any, number: int) -> None:
    given = getattr(email, "metadata", {})
    if given is None:  # which takes back the project's default, and an entry of ours would bring that back
        return
    given = given if isinstance(given, Mapping) else {}  # or what Anymail calls unset
    theirs = {**(backend.send_defaults.get("metadata") or {}), **given}
    if OUTBOX_ID not in theirs and len(theirs) <= MOST_METADATA:
        email.metadata = {**given, OUTBOX_ID: str(number)}


def _has(headers: Any, name: str) -> bool:
    return name in {each.lower() for each in headers}


# Once, and in time


def ask_once_and_in_time(backend: Any) -> None:
    """Let a provider's back end send one request for each try, and wait for MAIL_TIMEOUT in all."""
    modules = {kind.__module__ for kind in type(backend).__mro__}
    if "anymail.backends.base_requests" in modules:
        backend.timeout = conf.MAIL_TIMEOUT
        backend.create_session = partial(_session, backend.create_session)
    if "anymail.backends.amazon_ses" in modules:
        given = backend.client_params["config"]
        # boto3 would try again by itself, in silence, when the first request may have been obeyed. Whoever configures
        # it in AMAZON_SES_CLIENT_PARAMS knows better.
        ours = type(given)(
            connect_timeout=conf.MAIL_TIMEOUT,
            read_timeout=conf.MAIL_TIMEOUT,
            retries={"total_max_attempts": 1},
        )
        backend.client_params = {**backend.client_params, "config": ours.merge(given)}
        backend.open = partial(_open_client, backend, backend.open)
    if "anymail.backends.base" in modules:
        backend.post_to_esp = partial(post_to_esp, backend.post_to_esp)


def post_to_esp(original: Any, *arguments: Any) -> Any:
    with within(conf.MAIL_TIMEOUT):
        return original(*arguments)


def _session(create_session: Any) -> Any:
    """Return a session of requests that is not led elsewhere: another request would be another try."""
    session = create_session()
    session.request = partial(session.request, allow_redirects=False)
    session.hooks["response"].append(read_beginning)
    for adapter in session.adapters.values():
        if hasattr(adapter, "poolmanager"):
            keep_time(adapter.poolmanager)
            adapter.proxy_manager_for = partial(_proxies, adapter.proxy_manager_for)
    return session


def _proxies(proxy_manager_for: Any, *arguments: Any, **options: Any) -> Any:
    pools = proxy_manager_for(*arguments, **options)
    keep_time(pools)
    return pools


def _open_client(backend: Any, open_client: Any) -> Any:
    is_new = open_client()
    http: Any = getattr(getattr(backend.client, "_endpoint", None), "http_session", None)
    # No public way leads there; without it each read has the timeout.
    if is_new and hasattr(http, "_pool_classes_by_scheme"):
        http._pool_classes_by_scheme = timed(http._pool_classes_by_scheme)
        keep_time(http._manager)
    return is_new
