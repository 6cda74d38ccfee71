"""What is said of a provider's API, and of a back end that failed; marked for translation as in sentences.py."""

from django.utils.translation import gettext_noop as _

# It has answered; its own words are the text.
ANSWERED = _("%(who)s answered %(answer)s: %(text)s")
ANSWERED_NO_MORE = _("%(who)s answered %(answer)s: no more")
UNREADABLE = _("%(who)s answered %(answer)s, and nobody can read the rest: %(text)s")
UNREADABLE_EMPTY = _("%(who)s answered %(answer)s, and nobody can read the rest: it is empty")

# Nobody was reached.
NO_URL = _("%(url)s is no URL of %(who)s.")
BROKEN_KEY = _("The key for %(who)s has an end of a line, or a space before it.")
NO_PROXY = _("The proxy (HTTPS_PROXY) leads to no %(who)s.")
NO_HOST = _("There is no host named %(host)s.")
NOBODY = _("Nothing answers at %(host)s (connection refused).")
NOT_TRUSTED = _("The certificate of %(who)s is not trusted: %(error)s.")
NO_TLS = _("No encrypted connection to %(who)s came about (%(error)s).")
NO_CONNECTION = _("No connection to %(who)s came about: %(error)s.")
SILENT = _("%(who)s did not answer within %(seconds)s s.")
AT = _("%(who)s at %(host)s")

# It may have taken the mail.
CUT_SHORT = _(
    "%(who)s had not taken the whole request within %(seconds)s s. If this happens every time, %(TIMEOUT)s is too "
    "short for mails of this size."
)
DOUBT_SILENT = _("%(who)s may have taken the mail: it did not answer within %(seconds)s s.")
DOUBT_IN_PART = _("%(who)s may have taken the mail: its answer ended in the middle.")
DOUBT_ENDLESS = _("%(who)s may have taken the mail: its answer has no end.")
DOUBT_CLOSED = _("%(who)s may have taken the mail: it closed the connection instead of an answer.")
DOUBT_NO_HTTP = _("%(who)s may have taken the mail: it gave no answer in HTTP.")
DOUBT_FAILED = _("Nobody knows whether the server has the message: the back end failed (%(kind)s: %(error)s).")

# This machine, or its settings.
NOT_OPENED = _("%(path)s cannot be opened: %(error)s.")
LOOK_AT_SETTINGS = _("Look at %(TRANSPORT)s and its settings.")
LOOK_AT_NETWORK = _("It cannot be reached: look at the network, and at %(TRANSPORT)s and its settings.")
SET_KEYS = _("Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
SET_KEYS_OR_ROLE = _("Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role of this machine.")
SET_REGION = _("Set AWS_DEFAULT_REGION, or region_name in ANYMAIL_AMAZON_SES_CLIENT_PARAMS.")
NOT_NOW = _("This machine could not hand it over now (%(kind)s: %(error)s).")
NOT_WRITABLE = _(
    "This machine cannot write the mail (%(kind)s: %(error)s). PYTHONIOENCODING=utf-8 lets a console print any "
    "character; then queue the mail again."
)
NOT_AT_ALL = _("This machine cannot hand it over (%(kind)s: %(error)s). Look at the log, then queue the mail again.")
SENT_NOTHING = _("%(backend)s sent nothing; perhaps a receiver of pre_send cancelled it.")
SENT_NOTHING_RETURNED = _("%(backend)s sent nothing: its send_messages() returned %(value)s.")
