"""What providers answer, as their manuals say, and what each answer means.

What an answer means is one of
  sent     the provider has the mail
  mail     it refuses this mail, for good
  later    it refuses this mail, for now: the plan tries it again, and the other mails go on
  sender   it does not take this sender: the alarm keeps the sender's mails back, and the others go on
  account  nobody's mail is taken until the account may send again: no attempt
  now      nobody's mail is taken for as long as it says, or at this rate: no attempt
  settings nobody's mail is taken until somebody looks at the settings: no attempt
  unknown  nobody knows whether it has the mail
"""

from tests.http_provider import HANG_UP, answer

B = "b@example.com"


def ses(status, name, message="No"):
    return answer(status, {"message": message}, X_Amzn_ErrorType=name)


def mailjet_message(code, status, text):
    errors = [{"ErrorCode": code, "StatusCode": status, "ErrorMessage": text, "ErrorRelatedTo": ["From"]}]
    return answer(status, {"Messages": [{"Status": "error", "Errors": errors}]})


def mandrill(name, message="No"):
    return answer(500, {"status": "error", "code": -1, "name": name, "message": message})


def postal(code):
    return answer(200, {"status": "error", "time": 0.01, "flags": {}, "data": {"code": code, "message": "No"}})


def postmark(code, message="No", status=422):
    return answer(status, {"ErrorCode": code, "Message": message})


def resend(status, name, message="No"):
    return answer(status, {"statusCode": status, "name": name, "message": message})


def sendgrid(status, message):
    return answer(status, {"errors": [{"message": message, "field": None, "help": None}]})


def sparkpost(status, code, message):
    return answer(status, {"errors": [{"message": message, "code": code}]})


TAKEN = {
    "amazon_ses": answer(200, {"MessageId": "id-1"}),
    "brevo": answer(201, {"messageId": "id-1"}),
    "mailersend": answer(202, "", X_Message_Id="id-1"),
    "mailgun": answer(200, {"id": "id-1", "message": "Queued. Thank you."}),
    "mailjet": answer(200, {"Messages": [{"Status": "success", "To": [{"Email": B, "MessageID": "id-1"}]}]}),
    "mailtrap": answer(200, {"success": True, "message_ids": ["id-1"]}),
    "mandrill": answer(200, [{"email": B, "status": "sent", "_id": "id-1", "reject_reason": None}]),
    "postal": answer(200, {"status": "success", "data": {"messages": {B: {"id": "id-1", "token": "t"}}}}),
    "postmark": answer(200, {"ErrorCode": 0, "Message": "OK", "MessageID": "id-1", "To": B}),
    "resend": answer(200, {"id": "id-1"}),
    "scaleway": answer(200, {"emails": [{"id": "id-1", "mail_rcpt": B, "status": "sending"}]}),
    "sendgrid": answer(202, ""),
    "sparkpost": answer(
        200, {"results": {"id": "id-1", "total_accepted_recipients": 1, "total_rejected_recipients": 0}}
    ),
    "unisender_go": answer(200, {"status": "success", "job_id": "id-1", "emails": [B], "failed_emails": {}}),
}
MAKES_IDS = {"sendgrid", "unisender_go"}  # Anymail itself, for these providers

# What each provider documents, or is known to say, beside what goes for all of HTTP.
REFUSALS = {
    "amazon_ses": [
        ("mail", ses(400, "MessageRejected", "Message contains a virus")),
        ("mail", ses(400, "BadRequestException")),
        ("mail", ses(404, "NotFoundException", "Template welcome does not exist")),
        ("sender", ses(400, "MessageRejected", "Email address is not verified. The following identities failed")),
        ("sender", ses(400, "MailFromDomainNotVerifiedException")),
        (
            "sender",
            ses(
                403,
                "AccessDeniedException",
                "User x is not authorized to perform: ses:SendEmail on resource: arn:aws:ses:eu:1:identity/a.example",
            ),
        ),
        ("account", ses(400, "AccountSuspendedException")),
        ("account", ses(400, "SendingPausedException")),
        ("account", ses(400, "LimitExceededException")),
        ("account", ses(429, "ThrottlingException", "Daily message quota exceeded.")),
        ("now", ses(429, "TooManyRequestsException")),
        ("now", ses(400, "Throttling")),
        ("settings", ses(403, "InvalidClientTokenId")),
        ("settings", ses(403, "SignatureDoesNotMatch")),
        ("settings", ses(400, "ExpiredTokenException")),
    ],
    "brevo": [
        ("mail", answer(400, {"code": "invalid_parameter", "message": "email is not valid in to"})),
        (
            "sender",
            answer(
                400,
                {
                    "code": "invalid_parameter",
                    "message": "Sending has been rejected because the sender you "
                    "used a@example.com is not valid. Validate your sender or authenticate your domain",
                },
            ),
        ),
        ("account", answer(402, {"code": "not_enough_credits", "message": "Not enough credits"})),
        ("account", answer(403, {"code": "permission_denied", "message": "Your SMTP account is not yet activated"})),
        ("settings", answer(401, {"code": "unauthorized", "message": "Key not found"})),
        ("later", answer(400, {"code": "duplicate_parameter", "message": "idempotencyKey was used"})),
    ],
    "mailersend": [
        ("mail", answer(422, {"message": "The to.0.email must be a valid email address.", "errors": {}})),
        ("mail", answer(202, {"warnings": [{"type": "ALL_SUPPRESSED", "recipients": [{"email": B}]}]})),
        ("sender", answer(422, {"message": "The from.email domain must be verified in your account. #MS42207"})),
        ("account", answer(429, {"message": "Your account reached its API daily quota limit. #MS42901"})),
        ("now", answer(429, {"message": "Your account reached its rate limit of 10 requests/min. #MS42903"})),
        ("settings", answer(401, {"message": "Unauthenticated."})),
    ],
    "mailgun": [
        ("mail", answer(400, {"message": "'to' parameter is not a valid address. please check documentation"})),
        ("sender", answer(404, {"message": "Domain not found: example.com"})),
        (
            "sender",
            answer(
                403,
                {
                    "message": "Sandbox subdomains are for test purposes only. Please add your own domain or "
                    "add the address to authorized recipients in Account Settings."
                },
            ),
        ),
        ("account", answer(403, {"message": "Please activate your Mailgun account. Check your inbox"})),
        ("account", answer(420, {"message": "Domain a.example is not allowed to send: recipient limit exceeded, try"})),
        ("settings", answer(401, "Forbidden")),
        ("unknown", answer(200, "Mailgun Magnificent API")),
    ],
    "mailjet": [
        ("mail", mailjet_message("mj-0013", 400, '"b" is an invalid email address.')),
        ("sender", mailjet_message("send-0008", 403, '"a@example.com" is not an authorized sender email address')),
        ("account", answer(401, {"ErrorCode": "mj-0001", "ErrorMessage": "Your account has been temporarily blocked"})),
        ("settings", answer(401, {"ErrorCode": "mj-0002", "ErrorMessage": "API key authentication failure"})),
        ("now", answer(429, {"ErrorCode": "mj-0005", "ErrorMessage": "Too many requests"})),
    ],
    "mailtrap": [
        ("mail", answer(400, {"success": False, "errors": ["'to' address is invalid"]})),
        ("sender", answer(403, {"success": False, "errors": ["Sending from domain example.com is not allowed"]})),
        ("account", answer(429, {"errors": ["The hourly sending limit of the account is reached"]})),
        ("settings", answer(401, {"success": False, "errors": ["Unauthorized"]})),
        ("settings", answer(403, {"errors": ["This API token has no permission to send"]})),
        ("unknown", answer(200, {"success": True, "message_ids": []})),
    ],
    "mandrill": [
        ("mail", mandrill("ValidationError")),
        ("mail", answer(200, [{"email": B, "status": "rejected", "_id": "x", "reject_reason": "hard-bounce"}])),
        ("mail", answer(200, [{"email": B, "status": "invalid", "reject_reason": None}])),
        ("sender", answer(200, [{"email": B, "status": "rejected", "_id": "x", "reject_reason": "unsigned"}])),
        ("account", mandrill("PaymentRequired")),
        ("settings", mandrill("Invalid_Key")),
        ("unknown", mandrill("GeneralError")),
        ("unknown", answer(200, [])),
    ],
    "postal": [
        ("mail", postal("NoContent")),
        ("mail", postal("NoRecipients")),
        ("sender", postal("UnauthenticatedFromAddress")),
        ("account", postal("ServerSuspended")),
        ("settings", postal("InvalidServerAPIKey")),
    ],
    "postmark": [
        ("mail", postmark(300, f"Invalid 'To' address: '{B}'.")),
        ("mail", postmark(300, "Invalid metadata content.")),
        ("mail", postmark(406, f"Found inactive addresses: {B}. Inactive recipients are ones that have bounced")),
        ("sender", postmark(400, "The 'From' address you supplied is not a Sender Signature on your account.")),
        ("sender", postmark(401, "The Sender Signature is not confirmed")),
        ("account", postmark(405, "Not allowed to send")),
        ("account", postmark(412, "Your account is pending approval")),
        ("settings", postmark(10, "No Account or Server API tokens were supplied", 401)),
    ],
    "resend": [
        ("mail", resend(422, "validation_error", "Invalid `to` field")),
        ("sender", resend(403, "validation_error", "The example.com domain is not verified. Please, add it")),
        ("sender", resend(403, "validation_error", "You can only send testing emails to your own email address")),
        ("account", resend(429, "daily_quota_exceeded")),
        ("account", resend(429, "monthly_quota_exceeded")),
        ("now", resend(429, "rate_limit_exceeded")),
        ("settings", resend(401, "restricted_api_key")),
        ("settings", resend(403, "invalid_api_key")),
        ("later", resend(409, "concurrent_idempotent_requests")),
        ("later", resend(409, "invalid_idempotent_request")),
    ],
    "scaleway": [
        ("mail", answer(400, {"type": "invalid_arguments", "details": [{"argument_name": "to"}]})),
        ("account", answer(429, {"type": "quotas_exceeded", "message": "The monthly quota of emails is exceeded"})),
        ("settings", answer(401, {"type": "denied_authentication", "reason": "invalid_argument"})),
        ("settings", answer(403, {"type": "permissions_denied", "message": "insufficient permissions"})),
        ("unknown", answer(200, {"emails": []})),
    ],
    "sendgrid": [
        ("mail", sendgrid(400, "Does not contain a valid address.")),
        ("mail", sendgrid(413, "Payload too large")),
        ("sender", sendgrid(403, "The from address does not match a verified Sender Identity.")),
        ("account", sendgrid(401, "Maximum credits exceeded")),
        ("settings", sendgrid(401, "The provided authorization grant is invalid, expired, or revoked")),
    ],
    "sparkpost": [
        ("mail", sparkpost(422, "1902", "invalid data format/type")),
        (
            "mail",
            answer(200, {"results": {"id": "id-1", "total_accepted_recipients": 0, "total_rejected_recipients": 1}}),
        ),
        ("sender", sparkpost(400, "7001", "Unconfigured Sending Domain <example.com>")),
        ("account", sparkpost(420, "2102", "Exceed Sending Limit (Daily)")),
        ("settings", sparkpost(401, "", "Unauthorized.")),
    ],
    "unisender_go": [
        ("mail", answer(400, {"status": "error", "code": 150, "message": "Error ID:1. Invalid 'body'"})),
        ("mail", answer(200, {"status": "success", "emails": [], "failed_emails": {B: "unsubscribed"}})),
        ("later", answer(200, {"status": "success", "emails": [], "failed_emails": {B: "temporary_unavailable"}})),
        ("settings", answer(401, {"status": "error", "code": 102, "message": "Can not decode key"})),
    ],
}
# What any of them, or a gateway before it, may say.
BY_HTTP = [
    ("now", answer(429, "Slow down")),
    ("now", answer(503, "Back soon", Retry_After="42")),
    ("now", answer(429, {"message": "later"}, Retry_After="42")),
    ("later", answer(503, "<html>Service Unavailable")),
    ("later", answer(408, "<html>Request Timeout")),
    ("later", answer(409, {"message": "busy with it"})),
    ("later", answer(403, "<html>Forbidden")),
    ("account", answer(402, {"message": "Payment required"})),
    ("settings", answer(401, "<html>Unauthorized")),
    ("settings", answer(404, "<html>Not Found")),
    ("settings", answer(301, "<html>Moved", Location="/elsewhere")),
    ("settings", answer(307, "<html>Moved", Location="/elsewhere")),
    ("mail", answer(413, "<html>Content Too Large")),
    ("unknown", answer(500, {"message": "our fault"})),
    ("unknown", answer(502, "<html>Bad Gateway")),
    ("unknown", answer(504, "<html>Gateway Timeout")),
    ("unknown", answer(200, "<html>nonsense")),
    ("unknown", HANG_UP),
    (
        "unknown",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{",
    ),
    ("unknown", b"nonsense\r\n\r\n"),
]
SAYS_NOTHING = answer(200, ""), b"HTTP/1.1 200 OK\r\nContent-Le"  # by which SendGrid takes a mail
