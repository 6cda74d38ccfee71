"""Sort a refusal, a relay's or a provider's, by whom it is about and when it is worth another try.

Where it was said, its code, its enhanced code and a few well-known texts decide; the first row that fits counts. What
no row knows goes by the first digit of its code (RFC 5321, section 4.2.1; RFC 9110, section 15) and concerns as few as
it can.
"""

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from django.utils.translation import gettext_noop


class Scope(Enum):
    """Whom a refusal is about."""

    RECIPIENT = "recipient"
    MESSAGE = "message"
    CONNECTION = "connection"  # now: this one has had enough; later: there are too many, or too much comes at a time
    ACCOUNT = "account"  # its quota, or a block
    RELAY = "relay"
    CONFIGURATION = "configuration"  # ours: login, encryption, sender, DNS records


class Time(Enum):
    """When the same is worth another try."""

    NOW = "now"  # on a new connection, or in the next transaction
    LATER = "later"
    TOMORROW = "tomorrow"
    NEVER = "never"


class Advice(Enum):
    """What a person does about it; `diagnosis.advise` says it with the names of the project's settings.

    Only marked for translation: what is logged and stored stays English.
    """

    LOGIN = gettext_noop("The relay wants a login or encryption: look at %(USERNAME)s, %(PASSWORD)s and %(USE_TLS)s.")
    AWAY = gettext_noop("It takes no mail at the moment.")
    WAIT = gettext_noop("It may be accepted later.")
    SENDER = gettext_noop("The relay does not take the sender: look at %(FROM)s.")
    ADDRESS = gettext_noop(
        "Look at the address; if it is right, the relay may want a login: %(USERNAME)s and %(PASSWORD)s."
    )
    CONTENT = gettext_noop("The relay does not take the content: look at %(FROM)s and at the templates.")
    SIZE = gettext_noop(
        "The mail is larger than the relay takes: link to large files instead of attaching them. MAIL_MAX_SIZE can "
        "refuse such a mail when it is sent."
    )
    QUOTA = gettext_noop(
        "The account of %(ACCOUNT)s has sent as much as its quota allows. It may send again by itself, mostly within "
        "a day; the provider can raise the quota."
    )
    BLOCKED = gettext_noop("The provider has blocked the account of %(ACCOUNT)s: log in there, or ask its support.")
    MAILS_PER_CONNECTION = gettext_noop(
        "It takes no more mails on one connection: the next ones go on a new one, by themselves."
    )
    NEW_CONNECTION = gettext_noop(
        "It has had enough of this connection, of wrong addresses perhaps: the rest goes on a new one."
    )
    CROWDED = gettext_noop(
        "It gets more connections or more mails at a time than it takes: look at %(MAX_CONNECTIONS)s and %(RATE)s."
    )
    NEXT_TRANSACTION = gettext_noop(
        "It takes no more recipients at a time: the others get the mail in the next transaction."
    )
    NO_PASSWORDS = gettext_noop(
        "Microsoft 365 takes no password (basic authentication) for %(USERNAME)s by SMTP. Its administrator may still "
        "be able to allow it; otherwise send through another relay: look at %(SERVER)s."
    )
    SMTP_AUTH = gettext_noop(
        "Look at %(USERNAME)s and %(PASSWORD)s. If they are right, Microsoft 365 does not let this account log in by "
        "SMTP: its administrator allows Authenticated SMTP for a mailbox; security defaults or Conditional Access "
        "forbid it."
    )
    GOOGLE_LOGIN = gettext_noop(
        "Google takes no ordinary password here: turn on 2-Step Verification for the account of %(USERNAME)s, make an "
        "app password, and put it into %(PASSWORD)s."
    )
    SEND_AS = gettext_noop(
        "The account of %(USERNAME)s may not send as this sender: look at %(FROM)s, or give it the right to send so."
    )
    VERIFY = gettext_noop(
        "The provider wants an address verified first: that in %(FROM)s, or in its sandbox the recipient's."
    )
    DNS = gettext_noop(
        "The domain in %(FROM)s is not authenticated: its DNS needs SPF and DKIM records for this relay, and DMARC."
    )
    GREETING = gettext_noop(
        "The relay does not take the name by which this machine greets: it wants a full one, with a DNS record. Look "
        "at %(EHLO_NAME)s."
    )
    STRANGER = gettext_noop(
        "It talks to no machine at this address: ask whoever runs the relay whether it knows this one, or has blocked "
        "it."
    )
    NO_STARTTLS = gettext_noop("It does not encrypt here: look at %(USE_TLS)s and %(PORT)s.")
    CLIENT = gettext_noop(
        "The relay takes no mail from the address of this machine without a login, or has blocked it: look at "
        "%(USERNAME)s and %(PASSWORD)s, or ask whoever runs the relay."
    )
    REVERSE_DNS = gettext_noop(
        "The relay wants a name for this machine's address: a reverse DNS record (PTR) whose name leads back to the "
        "address. Whoever provides the address sets it."
    )
    SETTINGS = gettext_noop("Look at %(TRANSPORT)s and its settings.")
    URL = gettext_noop(
        "No mail is taken at that address: look at %(TRANSPORT)s and its settings, above all at one that ends with URL."
    )
    MAY_NOT = gettext_noop(
        "The provider does not let this account send this mail: look at %(FROM)s, then at %(TRANSPORT)s and its "
        "settings."
    )
    REPEATED = gettext_noop("The provider has had the same mail already, and takes it once.")


@dataclass(frozen=True)
class Row:
    """A kind of refusal. What is empty, fits anything."""

    scope: Scope
    time: Time
    advice: Advice
    source: str
    places: str = ""
    codes: str = ""  # a regular expression, as are the next two
    enhanced: str = ""  # of a provider's API: the name or number that it gives the error
    text: str = ""

    def fits(self, place: str, code: str, enhanced: str, text: str) -> bool:
        return (
            (not self.places or place in self.places.split())
            and (not self.codes or re.fullmatch(self.codes, code) is not None)
            and (not self.enhanced or re.fullmatch(self.enhanced, enhanced) is not None)
            and (not self.text or re.search(self.text, text, re.IGNORECASE) is not None)
        )


BEFORE_MAIL = "GREETING EHLO STARTTLS AUTH "
OF_THE_MESSAGE = "MAIL DATA CONTENT "
TOO_LARGE = r"(?:message|mail|file)(?: size)?(?: is)? (?:too (?:big|large)|exceeds)|message ?too ?large|size limit"
API = "API "  # a provider's answer to a request by HTTP

# Postfix waits with these for RCPT, for the sake of its log (smtpd_delay_reject).
OUR_NAME = "(?:helo|ehlo) (?:command|name) rejected"
OUR_ADDRESS = r"client host rejected|client host \[[^\]]*\] blocked|sender address rejected: not logged in"

VERIFIED = (
    "address (?:is )?not verified|verified sender identity|domain(?: is)? (?:not verified|unverified)|sender signature"
)
VERIFIED_BY_API = (  # what relays say so may be about another domain
    r"domain must be verified|only send testing emails|trial accounts? can only send"
    r"|sandbox (?:sub)?domains? (?:is|are) for test|domain not found|unconfigured sending domain"
    r"|sender you used .{0,100} is not valid|not an authorized sender"
    r"|sending from (?:domain |address )?\S+ is not allowed|\bses:\w+\b.{0,10} on resource.{0,5} arn:\S+:identity/"
)
KEY = (
    r"\b(?:api|server|access|private|secret).?(?:key|token)\b|\btoken\b|\bcredentials?\b|unauthori[sz]ed ip|permission"
)

PERIOD = r"(?:daily|hourly|monthly|24.hour)"
QUOTA = (
    r"^(?![45]\.2\.2\b|.*(?:you are trying to|you tried to|receiving|incoming|recipient's"  # nothing of ours
    r"|recipient address|this (?:mailbox|user has)))"
    rf".*(?:\b{PERIOD}\b.{{0,60}}\b(?:quota|limit)|\b(?:quota|limit)\b.{{0,60}}\b(?:per|a) (?:day|month)\b"
    r"|\b(?:sending|submission|outgoing|outbound|messaging|smtp relay) (?:quota|limit)|maximum credits exceeded"
    r"|\b(?:insufficient|not enough|out of) credits|not allowed to send: \w+ limit exceeded"
    r"|\b(?:max(?:imum)?|limit|too many|reached|exceeded)\b.{0,40}\b(?:e?mails?|messages?|recipients?)\b.{0,30}"
    r"(?:\b(?:per|an?|each) (?:hour|day|month)|\btoday)\b|\byour account\b(?:(?!\brate\b).){0,40}\b(?:quota|limit)\b"
    r"|\b(?:domain|daily) frequency limited)"
)
BLOCK = (
    r"(?:^(?:[45]\.\d\.\d+ )?|\b(?:your|this|sending|sender|smtp) )account (?:has been |is |was )?"
    r"(?:temporarily |currently )?"
    r"(?:suspended|disabled|blocked|locked|restricted|deactivated|not (?:yet )?activ)|sending paused for this account"
    r"|activate your \w+ account|account is under review"
)
SENDING_IS_BLOCKED = (
    r"outgoing (?:e?-?mails?|messages?)\b.{0,80}\b(?:suspended|disabled|blocked)|disabled for outgoing"
    r"|suspended (?:for|from) sending|unusual sending activity"
)
MAILS_PER_CONNECTION = (
    r"\b(?:messages?|e?mails?|transactions) (?:(?:sent|allowed|count|limit) )?(?:per|in|on|for|over)"
    r"(?: this| a| one| each)?(?: smtp)? (?:session|connection)|session limit of \d+ (?:messages|e?mails)"
)
CONNECTION_IS_USED_UP = (
    r"too many (?:\w+ ){0,4}errors|too many (?:bad|invalid|unknown|unrecogni[sz]ed|nonexistent) \w+"
    r"|session (?:open for too long|exceeded transfer)"
)
CROWDING = (
    r"^(?!.*(?:you are trying to|you tried to|receiving|recipient thread)).*"
    r"(?:too (?:many|frequent) (?:\w+ ){0,3}(?:connect|session)|concurrent (?:\w+ )?connection"
    r"|connection (?:rate )?limit|throttl"
    r"|\b(?:sending|message|connection|unusual|high|request) rate\b|\brate(?:.| is )(?:limit|control|exceed)"
    r"|\brate of\b|\bper (?:second|minute)\b|too much mail from|too (?:fast|quickly)"
    r"|thread limit|\b(?:ip|connection) frequency limited)"
)
TOO_MANY_RECIPIENTS = (
    r"too many recipients(?! from| (?:per|this|an?|in the last) (?:hour|minute|day))"  # Postfix says "from" of a rate
    r"|recipients? (?:limit|count exceed)|limit of recipients|max(?:imum)? (?:number of )?(?:recipients|rcpts?)\b"
    r"|(?:recipients?|rcpts?)\b.{0,20}\bper (?:message|e?mail|transaction)|too many rcpts?\b"
)

NOT_NAMED_YET = Row(
    Scope.RECIPIENT, Time.NOW, Advice.NEXT_TRANSACTION, "ours: MAIL_MAX_RECIPIENTS, or what was learned"
)

# fmt: off
TABLE = (
    # A repeat of what the provider may have: its idempotency key was used before.
    Row(Scope.MESSAGE, Time.LATER, Advice.REPEATED, "Brevo, batch email idempotency; Resend, errors: another body",
        API, enhanced="duplicate_parameter|invalid_idempotent_request"),
    Row(Scope.MESSAGE, Time.LATER, Advice.WAIT, "Resend, errors: the request before is not answered yet",
        API, enhanced="concurrent_idempotent_requests"),
    # The account: its quota comes back, and a block is lifted; until then no message is to blame, at RCPT neither.
    Row(Scope.ACCOUNT, Time.TOMORROW, Advice.QUOTA, "Google, support.google.com/a/answer/3726730: daily sending limit",
        enhanced="5.4.5"),
    Row(Scope.ACCOUNT, Time.TOMORROW, Advice.QUOTA, "Microsoft, non-delivery reports in Exchange Online: daily limit",
        enhanced="5.1.90"),
    Row(Scope.ACCOUNT, Time.TOMORROW, Advice.QUOTA, "Microsoft, Exchange: STOREDRV.Submission",
        text="SubmissionQuotaExceeded"),
    Row(Scope.ACCOUNT, Time.LATER, Advice.QUOTA, "Microsoft, continuous error throttling for SMTP AUTH submissions",
        enhanced="5.2.25[1-5]", text="sender throttled"),
    Row(Scope.ACCOUNT, Time.TOMORROW, Advice.QUOTA, "Amazon SES, manage-sending-quotas-errors.html; SendGrid; Gmail",
        codes="(?!421)...", text=QUOTA),
    Row(Scope.ACCOUNT, Time.LATER, Advice.QUOTA, "Mailgun, github.com/mailgun/mailgun-java/issues/50, by SMTP 421",
        text="not allowed to send: (?:recipient|request|message) limit exceeded"),
    Row(Scope.ACCOUNT, Time.TOMORROW, Advice.QUOTA, "Resend, resend.com/docs/api-reference/errors",
        API, enhanced="(?:daily|monthly)_quota_exceeded"),
    Row(Scope.ACCOUNT, Time.TOMORROW, Advice.QUOTA, "Amazon SES, API reference: SendEmail",
        API, enhanced="LimitExceededException|ACCOUNT_DAILY_QUOTA_EXCEEDED"),
    Row(Scope.ACCOUNT, Time.TOMORROW, Advice.QUOTA, "Postmark, API error codes: 405, it has run out of credits",
        API, "422", "405"),
    Row(Scope.ACCOUNT, Time.TOMORROW, Advice.QUOTA, "RFC 9110, section 15.5.3; Mandrill, error glossary",
        API, "402"),
    Row(Scope.ACCOUNT, Time.TOMORROW, Advice.QUOTA, "Mandrill, error glossary", API, enhanced="PaymentRequired"),
    Row(Scope.ACCOUNT, Time.TOMORROW, Advice.QUOTA, "SparkPost, error codes 2101 and 2102; Mailgun",
        API, "420"),
    Row(Scope.ACCOUNT, Time.LATER, Advice.BLOCKED, "Microsoft, non-delivery reports in Exchange Online: bad outbound",
        codes="5..", enhanced="5.1.8", text="bad outbound sender"),
    Row(Scope.ACCOUNT, Time.LATER, Advice.BLOCKED, "Microsoft, fix error codes 5.7.700 through 5.7.750; NDR 5.7.501",
        enhanced="5.7.(?:70[58]|50[1-3]|750)"),
    Row(Scope.ACCOUNT, Time.LATER, Advice.BLOCKED, "cPanel, suspended outgoing mail; Zoho, 5.4.6: unusual activity",
        codes="[45]..", text=SENDING_IS_BLOCKED),
    Row(Scope.ACCOUNT, Time.LATER, Advice.BLOCKED, "Amazon SES, account-level sending pauses; Brevo, SMTP errors",
        BEFORE_MAIL + OF_THE_MESSAGE + API, text=BLOCK),
    Row(Scope.ACCOUNT, Time.LATER, Advice.BLOCKED, "Amazon SES, API reference: SendEmail; Postal, API errors",
        API, enhanced="AccountSuspendedException|SendingPausedException|ACCOUNT_SUSPENDED|ACCOUNT_SENDING_PAUSED"
        "|CONFIGURATION_SET_SENDING_PAUSED|ServerSuspended|account_under_validation"),
    Row(Scope.ACCOUNT, Time.LATER, Advice.BLOCKED, "Postmark, API error codes: 412 pending, 413 may not send",
        API, "422", "41[23]"),
    Row(Scope.ACCOUNT, Time.TOMORROW, Advice.QUOTA, "NetEase (163.com), return codes, from copies of the list",
        codes="[45]..", text=r"^(?:[45]\.\d\.\d+ )?(?:MI:STC|RP:QRC|MI:SFQ)\b"),
    # The connection: a new one helps, or fewer of them.
    Row(Scope.CONNECTION, Time.NOW, Advice.MAILS_PER_CONNECTION, "NetEase (163.com), return codes, as above",
        OF_THE_MESSAGE + "RCPT", "4..", text=r"^(?:MI:DMC|RP:DRC)\b"),
    Row(Scope.CONNECTION, Time.LATER, Advice.CROWDED, "NetEase (163.com), return codes, as above",
        BEFORE_MAIL + OF_THE_MESSAGE, "4..", text=r"^HL:(?:ICC|IFC)\b"),
    Row(Scope.CONNECTION, Time.NOW, Advice.MAILS_PER_CONNECTION,
        "Stalwart, session limits; Exim, smtp_accept_max_per_connection; Yahoo, SMTP error codes",
        OF_THE_MESSAGE + "RCPT", "[45]..", text=MAILS_PER_CONNECTION),
    Row(Scope.CONNECTION, Time.NOW, Advice.NEW_CONNECTION, "Postfix, smtpd_hard_error_limit; Stalwart, session limits",
        OF_THE_MESSAGE + "RCPT", "[45]..", text=CONNECTION_IS_USED_UP),
    Row(Scope.CONNECTION, Time.LATER, Advice.CROWDED,
        "Microsoft, SMTP AUTH limits; Amazon SES, sending quotas; Postfix, smtpd_client_message_rate_limit",
        BEFORE_MAIL + OF_THE_MESSAGE, "[45]..", text=CROWDING),
    Row(Scope.RECIPIENT, Time.LATER, Advice.WAIT, "the same, said of one recipient", "RCPT", "5..", text=CROWDING),
    Row(Scope.CONNECTION, Time.LATER, Advice.CROWDED, "Amazon SES, errors related to the sending quotas",
        API, enhanced="Throttling(?:Exception)?|TooManyRequestsException|ACCOUNT_THROTTLED"),
    Row(Scope.CONNECTION, Time.LATER, Advice.CROWDED, "RFC 6585, section 4: too many requests", API, "429"),
    # One recipient: nothing that is said here is about the relay, and the others get the mail.
    Row(Scope.RECIPIENT, Time.NOW, Advice.NEXT_TRANSACTION, "RFC 5321, section 4.5.3.1.10: 452, and 552 of old",
        "RCPT", "452", "|4.5.3", r"^(?!.*(?:storage|full|quota|space|disk)\b)"),
    Row(Scope.RECIPIENT, Time.NOW, Advice.NEXT_TRANSACTION, "RFC 3463, section 3.6: too many recipients",
        "RCPT", "[45]..", "[45].5.3"),
    Row(Scope.RECIPIENT, Time.NOW, Advice.NEXT_TRANSACTION, "Exim, recipients_max; Exchange, MaxRecipientsPerMessage",
        "RCPT DATA CONTENT", "[45]..", text=TOO_MANY_RECIPIENTS),
    Row(Scope.RECIPIENT, Time.NOW, Advice.NEXT_TRANSACTION, "RFC 3463, section 3.6: too many recipients",
        "DATA CONTENT", "[45]..", "[45].5.3"),
    Row(Scope.RECIPIENT, Time.LATER, Advice.LOGIN, "RFC 4954, section 6; RFC 3207, section 4; 503: before the command",
        "RCPT", "503|530|534|535|538|454"),
    # The settings, ours or those at the provider: a sentence that names the place.
    Row(Scope.CONFIGURATION, Time.LATER, Advice.NO_PASSWORDS, "Microsoft, techcommunity.microsoft.com … ba-p/4114750",
        enhanced="5.7.30", text="basic authentication"),
    Row(Scope.CONFIGURATION, Time.LATER, Advice.SMTP_AUTH, "Microsoft, enable or disable authenticated client SMTP",
        BEFORE_MAIL + OF_THE_MESSAGE, "535", "5.7.139|5.7.3"),
    Row(Scope.CONFIGURATION, Time.LATER, Advice.GOOGLE_LOGIN,
        "Google, support.google.com/a/answer/3726730; 5.7.8, 5.7.9",
        BEFORE_MAIL + OF_THE_MESSAGE, "53[45]", "5.7.(?:8|9|14)", "gsmtp|google|application-specific password"),
    Row(Scope.CONFIGURATION, Time.NEVER, Advice.SEND_AS, "Microsoft, non-delivery reports in Exchange Online: 5.7.60",
        OF_THE_MESSAGE, "5..", text="permissions? to send as this sender|SendAsDenied|not allowed to send as"),
    Row(Scope.CONFIGURATION, Time.NEVER, Advice.SEND_AS, "Microsoft, non-delivery reports in Exchange Online: 5.7.60",
        OF_THE_MESSAGE, "5..", "5.7.60"),
    Row(Scope.CONFIGURATION, Time.NEVER, Advice.SEND_AS,
        "Postfix, reject_sender_login_mismatch, at RCPT by smtpd_delay_reject; Zoho; NetEase; QQ",
        OF_THE_MESSAGE + "RCPT", "5..",
        text="not owned by|relaying disallowed as|sender is not allowed to relay"
        "|mail from (?:address )?must (?:be (?:the )?same|equal)"),
    Row(Scope.CONFIGURATION, Time.NEVER, Advice.VERIFY, "Amazon SES, SMTP issues; SendGrid, sender identity",
        OF_THE_MESSAGE + API, "[45]..", text=VERIFIED),
    Row(Scope.CONFIGURATION, Time.NEVER, Advice.VERIFY,
        "Resend, MailerSend, Mailgun, Mailjet, Mailtrap, Brevo, SparkPost, Amazon: API errors",
        API, "4..", text=VERIFIED_BY_API),
    Row(Scope.CONFIGURATION, Time.NEVER, Advice.VERIFY, "Amazon SES, API reference: SendEmail",
        API, enhanced="MailFromDomainNotVerifiedException|MAIL_FROM_DOMAIN_NOT_VERIFIED"),
    Row(Scope.CONFIGURATION, Time.NEVER, Advice.VERIFY, "Postal, API errors; Mailjet, send-0008; SparkPost, 7001",
        API, enhanced="UnauthenticatedFromAddress|send-0008|7001"),
    Row(Scope.CONFIGURATION, Time.NEVER, Advice.VERIFY, "Mandrill, reject_reason, with 200",
        API, text=r'"reject_reason": ?"unsigned"'),
    Row(Scope.CONFIGURATION, Time.NEVER, Advice.VERIFY, "Postmark, API error codes: sender signature",
        API, "422", "40[01]"),
    Row(Scope.CONFIGURATION, Time.NEVER, Advice.GREETING, "Postfix, smtpd_helo_restrictions",
        OF_THE_MESSAGE + "RCPT", "5..", text=OUR_NAME),
    Row(Scope.CONFIGURATION, Time.LATER, Advice.GREETING, "Postfix, smtpd_helo_restrictions, smtpd_delay_reject = no",
        "EHLO", "[45]..", text=OUR_NAME),
    Row(Scope.CONFIGURATION, Time.NEVER, Advice.CLIENT,
        "Postfix, smtpd_client_restrictions, reject_rbl_client, reject_sender_login_mismatch",
        OF_THE_MESSAGE + "RCPT", "5..", text=OUR_ADDRESS),
    Row(Scope.CONFIGURATION, Time.NEVER, Advice.REVERSE_DNS, "RFC 7372, section 3.3: reverse DNS; Google, SMTP errors",
        OF_THE_MESSAGE + "RCPT", "5..", "5.7.25"),
    Row(Scope.CONFIGURATION, Time.NEVER, Advice.DNS, "RFC 7372, section 3; Google, SMTP errors; Microsoft, 5.7.515",
        OF_THE_MESSAGE, "5..", r"5\.7\.(?:2[0-46-7]|515)"),
    Row(Scope.CONFIGURATION, Time.NEVER, Advice.DNS, "Google, support.google.com/a/answer/3726730: DKIM and DMARC",
        OF_THE_MESSAGE, "5..", r"5\.7\.(?:30|40)", "authenticat|SPF|DKIM|DMARC"),
    Row(Scope.CONFIGURATION, Time.NEVER, Advice.DNS, "Google, 5.7.1; Yahoo, 5.7.9; Microsoft, 5.7.509: DMARC",
        OF_THE_MESSAGE, "5..", text=r"unauthenticated e?-?mail from|\bDMARC\b|domain \S+ does not pass"),
    Row(Scope.CONFIGURATION, Time.LATER, Advice.LOGIN, "Yahoo; Exchange, 5.7.1: a login is missing",
        "MAIL", "5..", text="authentication (?:is )?required|must (?:first )?authenticate|not authenticated"),
    Row(Scope.CONFIGURATION, Time.NEVER, Advice.SENDER, "RFC 3463, section 3.8: not authorized, said of the sender",
        "MAIL", "5(?!3[0458])..", "5.7.1"),
    Row(Scope.CONFIGURATION, Time.NEVER, Advice.SENDER,
        "Postfix, smtpd_sender_restrictions, at RCPT by smtpd_delay_reject; Exim, verify = sender in the ACL of RCPT",
        OF_THE_MESSAGE + "RCPT", "5..", text="sender address rejected|sender verify failed"),
    # The relay, or the settings: no message is to blame.
    Row(Scope.CONNECTION, Time.LATER, Advice.DNS, "Google, SMTP errors 4.7.26 to 4.7.40: slowed, not authenticated",
        OF_THE_MESSAGE, "421", r"4\.7\.(?:2[0-46-7]|3[02]|40)"),
    Row(Scope.CONNECTION, Time.LATER, Advice.AWAY, "RFC 5321, section 3.8: closing the channel",
        BEFORE_MAIL + OF_THE_MESSAGE, "[24]21"),
    Row(Scope.RELAY, Time.LATER, Advice.AWAY, "RFC 3463, section 3.4: not accepting network messages",
        BEFORE_MAIL + OF_THE_MESSAGE, enhanced="4.3.2"),
    Row(Scope.RELAY, Time.LATER, Advice.LOGIN, "RFC 4954, section 6; RFC 3207, section 4: not for the moment",
        "MAIL", "454"),
    Row(Scope.RELAY, Time.LATER, Advice.AWAY, "the same, after the sender: it is about no login of ours any more",
        "DATA CONTENT", "454"),
    Row(Scope.CONFIGURATION, Time.LATER, Advice.LOGIN, "RFC 4954, section 6; RFC 3207, section 4",
        BEFORE_MAIL + OF_THE_MESSAGE, "530|534|535|538"),
    Row(Scope.CONFIGURATION, Time.LATER, Advice.LOGIN, "RFC 5321, section 4.1.4: a login that is missing, perhaps",
        "MAIL DATA", "503"),
    Row(Scope.CONFIGURATION, Time.LATER, Advice.SETTINGS, "RFC 9110, section 15.5.2: the key is wrong",
        API, "401|407"),
    Row(Scope.CONFIGURATION, Time.LATER, Advice.SETTINGS,
        "Amazon, CommonErrors; Mandrill, error glossary; Postal; Resend; Scaleway",
        API, enhanced="ExpiredToken(?:Exception)?|InvalidClientTokenId|UnrecognizedClientException|AccessDenied"
        "|SignatureDoesNotMatch|InvalidSignatureException|IncompleteSignature|MissingAuthenticationToken(?:Exception)?"
        "|RequestExpired|RequestTimeTooSkewed|OptInRequired|Invalid_Key|InvalidServerAPIKey"
        "|(?:invalid|missing|restricted)_api_key|denied_authentication|permissions_denied"),
    Row(Scope.CONFIGURATION, Time.LATER, Advice.SETTINGS, "RFC 9110, section 15.5.4, said of the key", API, "403",
        text=KEY),
    Row(Scope.MESSAGE, Time.LATER, Advice.MAY_NOT, "RFC 9110, section 15.5.4: nobody knows of whom it is said",
        API, "403"),
    Row(Scope.MESSAGE, Time.NEVER, Advice.CONTENT, "Amazon SES, SendBulkEmail; Mailgun: a stored template is meant",
        API, "404", text=r"\btemplate|configuration set"),
    Row(Scope.CONFIGURATION, Time.LATER, Advice.URL, "RFC 9110, section 15.4 and 15.5.5: it is another place",
        API, "3..|404|405|410"),
    # Nobody knows better.
    Row(Scope.RECIPIENT, Time.NEVER, Advice.ADDRESS, "RFC 5321, section 4.2.1", "RCPT", "5.."),
    Row(Scope.RECIPIENT, Time.LATER, Advice.WAIT, "RFC 5321, section 4.2.1", "RCPT"),
    Row(Scope.MESSAGE, Time.NEVER, Advice.SIZE, "RFC 3463, section 3.4: message too big for system; 3.3: length",
        OF_THE_MESSAGE, "5..", r"5\.(?:3\.4|2\.3)"),
    Row(Scope.MESSAGE, Time.NEVER, Advice.SIZE, "RFC 1870, section 6.2; Exim, message_size_limit; Exchange",
        OF_THE_MESSAGE, "5..", text=TOO_LARGE),
    Row(Scope.MESSAGE, Time.NEVER, Advice.SIZE, "RFC 1870, section 6.1: nothing but the size was named yet", "MAIL",
        "523|552"),
    Row(Scope.MESSAGE, Time.NEVER, Advice.SIZE, "RFC 9110, section 15.5.14", API, "413"),
    Row(Scope.MESSAGE, Time.NEVER, Advice.SENDER, "RFC 5321, section 4.2.1", "MAIL", "5.."),
    Row(Scope.MESSAGE, Time.NEVER, Advice.CONTENT, "RFC 5321, section 4.2.1", "DATA CONTENT", "5.."),
    Row(Scope.MESSAGE, Time.LATER, Advice.WAIT, "RFC 5321, section 4.2.1", OF_THE_MESSAGE),
    Row(Scope.RELAY, Time.LATER, Advice.STRANGER, "RFC 5321, section 3.1: 554 instead of a greeting",
        "GREETING EHLO", "5..", text="^(?!.*synchroni[sz]ation)"),
    Row(Scope.RELAY, Time.LATER, Advice.NO_STARTTLS, "RFC 3207, section 4", "STARTTLS", "5.."),
    Row(Scope.RELAY, Time.LATER, Advice.AWAY, "RFC 5321, section 4.2.1", BEFORE_MAIL),
    Row(Scope.MESSAGE, Time.NEVER, Advice.CONTENT, "Mandrill, error glossary, with 500; Postal, API errors, with 200",
        API, enhanced="ValidationError|NoContent|NoRecipients|MESSAGE_REJECTED|TEMPLATE_NOT_FOUND|INVALID_PARAMETER"
        "|CONFIGURATION_SET_NOT_FOUND|INVALID_SENDING_POOL_NAME"),
    Row(Scope.MESSAGE, Time.LATER, Advice.WAIT, "Amazon SES, BulkEmailEntryResult", API,
        enhanced="TRANSIENT_FAILURE|FAILED"),
    Row(Scope.RECIPIENT, Time.LATER, Advice.WAIT, "Unisender Go, email-send: failed_emails", API,
        text='"temporary_unavailable"'),
    Row(Scope.RELAY, Time.LATER, Advice.AWAY, "RFC 9110, section 15.6.4", API, "503"),
    Row(Scope.MESSAGE, Time.LATER, Advice.WAIT, "RFC 9110, section 15: not whole, busy with it, or their fault",
        API, "408|409|423|425|5.."),
    Row(Scope.MESSAGE, Time.NEVER, Advice.CONTENT, "RFC 9110, section 15.5", API, "4.."),
    Row(Scope.MESSAGE, Time.NEVER, Advice.SETTINGS, "a back end's own words"),
)
# fmt: on

ENHANCED_CODE = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?=\s|$)")  # what starts a reply's text (RFC 2034)


@lru_cache(1000)  # a relay says the same again and again
def find_row(place: str, reply: str) -> Row:
    """Return the row for a refusal that begins with its code; `place` is the command, GREETING or CONTENT."""
    code, _, text = reply.partition(" ")
    enhanced = enhanced_code(text) or ""
    in_one_line = re.sub(r"\n(?:[245]\.\d{1,3}\.\d{1,3}\s)?\s*", " ", text)
    return _first_that_fits(place, code, enhanced, in_one_line)


def find_row_of_api(status: int, name: str, text: str) -> Row:
    """Return the row for a provider's answer: its HTTP status, its own name or number for the error, and the rest."""
    return _first_that_fits("API", str(status), name, " ".join(text.split()))


def _first_that_fits(place: str, code: str, enhanced: str, text: str) -> Row:
    return next(row for row in TABLE if row.fits(place, code, enhanced, text))


def enhanced_code(text: str) -> str | None:
    """Return the enhanced status code that starts a reply's text (RFC 2034), such as 4.2.2."""
    found = ENHANCED_CODE.match(text)
    return found[0] if found else None
