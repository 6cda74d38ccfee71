"""What is said of an address that no mail can have.

Only marked for translation, as in transports/sentences.py: the exception is English, and status/in_their_words.py says
it in its reader's language.
"""

from django.utils.translation import gettext_noop as _

NO_ADDRESS = _("%(address)s is not a mail address: a name, an @ and a domain are needed.")
ENCODED_WORD = _("%(address)s is not a mail address: the part before the @ is an encoded word.")
TOO_LONG = _("%(address)s has %(count)s characters; a mail address has at most %(most)s.")
FORBIDDEN = _("The address %(address)s has %(what)s, which no mail can have.")
# What headers.py says for domains.py.
NO_DOMAINS_CHARACTER = _("Invalid address %(address)s: no domain can have the character %(character)s in %(label)s.")
LONG_LABEL = _(
    "Invalid address %(address)s: the part %(label)s of a domain has %(count)s characters, and at most %(most)s."
)
