"""What is said of a relay and of a connection to it, by where the conversation broke.

Only marked for translation: what is logged and stored stays English, and a page that shows it says it in its reader's
language (status/in_their_words.py). A name in capitals is a setting's, whatever the project calls it.
"""

from django.utils.translation import gettext_noop as _

# Nobody was reached.
NO_HOST = _("There is no host named %(host)s (%(error)s). Look at %(SERVER)s.")
NOBODY = _("Nothing answers at %(server)s (connection refused). Look at %(SERVER)s and %(PORT)s.")
NO_CONNECTION = _(
    "No connection to %(server)s came about within %(seconds)s s: nobody answers there. Look at %(SERVER)s and "
    "%(PORT)s; a firewall may be in between, and many networks let nothing out to port 25."
)
UNREACHABLE = _("%(server)s cannot be reached: %(error)s. Look at %(SERVER)s and %(PORT)s.")
NOT_ASCII = _("%(SERVER)s, %(USERNAME)s or %(PASSWORD)s has a character that SMTP cannot carry: use ASCII only.")

NO_TRANSPORT = _("%(setting)s leads to no transport (%(kind)s: %(error)s). `manage.py check` says more.")

# TLS.
NOT_TRUSTED = _(
    "The certificate of %(server)s is not trusted: %(error)s. %(SERVER)s must be the name in the certificate; if its "
    "authority is your own, name the file with it in SSL_CERT_FILE."
)
NO_TLS_AT_ONCE = _(
    "%(server)s does not speak TLS from the first byte (%(error)s). Look at %(USE_SSL)s: a port with STARTTLS (587) "
    "needs %(USE_TLS)s instead."
)
NO_TLS = _("No encrypted connection to %(server)s came about (%(error)s). Ask whoever runs the server.")

# It has hung up, or the line is cut.
HUNG_UP = _(
    "%(server)s closed the connection. If this happens every time, look at %(PORT)s, and at %(USE_SSL)s: a port that "
    "speaks TLS from the first byte (465) needs it."
)
HUNG_UP_AT = {
    "GREETING": _(
        "%(server)s closed the connection before its greeting. If this happens every time, look at %(PORT)s, and at "
        "%(USE_SSL)s: a port that speaks TLS from the first byte (465) needs it; or it takes no connection from the "
        "address of this machine."
    ),
    "GREETING in TLS": _(
        "%(server)s closed the connection before its greeting. If this happens every time, look at %(PORT)s; or it "
        "takes no connection from the address of this machine: ask whoever runs it."
    ),
    "EHLO": _(
        "%(server)s greeted, and closed the connection when this machine said its name. If this happens every time, "
        "look at %(EHLO_NAME)s, or ask whoever runs it."
    ),
    "STARTTLS": _(
        "%(server)s closed the connection when encryption was to begin (STARTTLS). If this happens every time, ask "
        "whoever runs it whether it speaks STARTTLS at this port."
    ),
    "AUTH": _(
        "%(server)s closed the connection during the login. If this happens every time, look at %(USERNAME)s and "
        "%(PASSWORD)s; some servers shut out whoever has failed too often."
    ),
    "MAIL": _(
        "%(server)s closed the connection when it was told the sender. If this happens every time, look at %(FROM)s, "
        "or ask whoever runs it."
    ),
    "RCPT": _(
        "%(server)s closed the connection when it was told a recipient. If this happens every time, look at the "
        "address, or ask whoever runs it."
    ),
    "DATA": _(
        "%(server)s took sender and recipients, and closed the connection before the text. If this happens every time, "
        "ask whoever runs it."
    ),
    "TEXT": _(
        "%(server)s closed the connection before it had the whole text. If this happens every time, the mail may be "
        "too large for it: look at MAIL_MAX_SIZE, or ask whoever runs it."
    ),
    "CONTENT": _(
        "%(server)s had the whole text, and closed the connection before it said whether it takes the mail: it may "
        "arrive. If this happens every time, ask whoever runs it, perhaps of a filter that looks at the text."
    ),
}

# It is there and says nothing.
SILENT = _(
    "%(server)s did not answer within %(seconds)s s. Look at %(SERVER)s and %(PORT)s; a port that speaks TLS from the "
    "first byte (465) needs %(USE_SSL)s; a slow server needs a larger %(TIMEOUT)s."
)
SILENT_AT = {
    "GREETING": _(
        "%(server)s took the connection, and did not greet within %(seconds)s s. If this happens every time, look at "
        "%(PORT)s: a port that speaks TLS from the first byte (465) needs %(USE_SSL)s; a slow server needs a larger "
        "%(TIMEOUT)s."
    ),
    "GREETING in TLS": _(
        "%(server)s took the connection, and did not greet within %(seconds)s s. If this happens every time, look at "
        "%(PORT)s: a port with STARTTLS (587) needs %(USE_TLS)s instead of %(USE_SSL)s; a slow server needs a larger "
        "%(TIMEOUT)s."
    ),
    "EHLO": _(
        "%(server)s greeted, and did not answer within %(seconds)s s when this machine said its name. If this happens "
        "every time, a larger %(TIMEOUT)s may help; or look at %(EHLO_NAME)s."
    ),
    "STARTTLS": _(
        "%(server)s did not go on within %(seconds)s s when encryption was to begin (STARTTLS). If this happens every "
        "time, a larger %(TIMEOUT)s may help; or ask whoever runs it."
    ),
    "AUTH": _(
        "%(server)s did not answer the login within %(seconds)s s. If this happens every time, a larger %(TIMEOUT)s "
        "may help; or ask whoever runs it."
    ),
    "MAIL": _(
        "%(server)s did not answer within %(seconds)s s when it was told the sender. If this happens every time, "
        "a larger %(TIMEOUT)s may help; or ask whoever runs it."
    ),
    "RCPT": _(
        "%(server)s did not answer within %(seconds)s s when it was told a recipient. If this happens every time, "
        "a larger %(TIMEOUT)s may help: some servers look an address up elsewhere."
    ),
    "DATA": _(
        "%(server)s took sender and recipients, and did not ask for the text within %(seconds)s s. If this happens "
        "every time, a larger %(TIMEOUT)s may help; or ask whoever runs it."
    ),
    "TEXT": _(
        "%(server)s stopped taking the text, for %(seconds)s s. If this happens every time, the network or the server "
        "is too slow for mails of this size: a larger %(TIMEOUT)s may help."
    ),
    "CONTENT": _(
        "%(server)s had the whole text, and did not say within %(seconds)s s whether it takes the mail: it may arrive. "
        "If this happens every time, ask whoever runs it, perhaps of a filter that looks at the text; a larger "
        "%(TIMEOUT)s waits longer."
    ),
}

# It says more than anybody wants to hear.
ENDLESS = _(
    "%(server)s sent more than %(most)s bytes as one reply, and the connection was ended. Look at %(SERVER)s and "
    "%(PORT)s, whether that is a mail server, or ask whoever runs it."
)

# It has answered; its own words are the reply.
ANSWERED = _("%(server)s answered %(reply)s.")
ANSWERED_AT = {
    "GREETING": _("%(server)s answered %(reply)s instead of a greeting."),
    "EHLO": _("%(server)s answered %(reply)s when this machine said its name."),
    "STARTTLS": _("%(server)s answered %(reply)s when encryption was to begin (STARTTLS)."),
}
NOT_SMTP = _("%(server)s does not speak SMTP. Look at %(PORT)s.")
LOGIN_POSTPONED = _("%(server)s answered %(reply)s to the login. It is tried again by itself.")
LOGIN_WANTS_TLS = _("%(server)s refused the login: %(reply)s. Look at %(USE_TLS)s and %(PORT)s.")
LOGIN_REFUSED = _(
    "%(server)s refused the login: %(reply)s. Look at %(USERNAME)s and %(PASSWORD)s; many providers want a password "
    "made for applications."
)
NO_STARTTLS = _(
    "%(server)s does not offer STARTTLS; look at %(USE_TLS)s and %(PORT)s (587 is usual for STARTTLS with login)."
)
NO_LOGIN = _(
    "%(server)s does not offer a login; look at %(USERNAME)s and %(PORT)s (587 is usual for STARTTLS with login)."
)
NO_LOGIN_IN_THE_CLEAR = _(
    "%(server)s does not offer a login; look at %(USE_TLS)s, %(USERNAME)s and %(PORT)s (587 is usual for STARTTLS with "
    "login)."
)
NO_LOGIN_BEFORE_STARTTLS = _("%(server)s offers no login before STARTTLS: set %(USE_TLS)s to True.")
WANTS_TOKEN = _(
    "%(server)s wants a token for a login (%(offered)s); the password in %(PASSWORD)s is of no use there. Choose a "
    "relay that takes passwords (%(SERVER)s), a provider's API, or a back end of your own that logs %(USERNAME)s in "
    "with a token (%(TRANSPORT)s)."
)
NO_LOGIN_IN_COMMON = _(
    "%(server)s offers the login by %(offered)s, and of all there are only PLAIN, LOGIN and, where this machine has "
    "MD5, CRAM-MD5 are known here. Ask whoever runs it for PLAIN with TLS, or look at %(SERVER)s."
)

# What became of a message.
NO_REPLY_TO_RECIPIENT = _("No reply to this recipient.")
NO_REPLY_TO_TEXT = _("No reply to the whole message.")
DOUBT = _("Nobody knows whether the server has the message.")
STOPPED = _("The process was stopped before the message was handed over.")
NO_WIDE_SENDER = _("%(server)s takes no sender outside ASCII, as it does not offer SMTPUTF8: choose another sender.")
NO_WIDE_ADDRESS = _(
    "%(server)s takes no address outside ASCII, as it does not offer SMTPUTF8. Ask for another address."
)
NOT_TO_BE_ALTERED = _(
    "%(server)s takes ASCII only (no 8BITMIME), and the mail may not be written anew: %(reason)s. Sign it when it is "
    "in quoted-printable or base64, or use another relay."
)
TOO_LARGE = _(
    "The mail has %(size)s bytes, and %(server)s takes at most %(limit)s. Link to large files instead of attaching "
    "them; MAIL_MAX_SIZE can refuse such a mail when it is sent."
)
HANDED_OVER = _("handed over")
FOLLOWS = _("It follows in the next transaction.")
TO_NOBODY = _("It was handed over to nobody: none of its recipients is left.")
REFUSED_ALIKE = _("%(server)s refuses one mail after the other alike, at last with %(reply)s.")
