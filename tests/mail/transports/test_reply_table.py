"""flasky.mail.transports.reply_table: what real servers say, and what it is about.

The replies are what these servers and providers are known to say, shortened; names and addresses are examples.
"""

import pytest

from flasky.mail.transports.reply_table import Advice, Scope, Time, find_row, find_row_of_api

# By what they are about, when it is worth another try and what helps: the place, and what was said there.
REPLIES = {
    (Scope.RECIPIENT, Time.NEVER, Advice.ADDRESS): """
        Others    RCPT 550 5.7.1 This user has reached the limit of mails per day
        Postfix   RCPT 550 5.1.1 <b@example.com>: Recipient address rejected: User unknown in local recipient table
        Postfix   RCPT 554 5.7.1 <b@example.com>: Relay access denied
        Postfix   RCPT 504 5.5.2 <b>: Recipient address rejected: need fully-qualified address
        Postfix   RCPT 550 5.1.2 <b@nowhere.example>: Recipient address rejected: Domain not found
        Postfix   RCPT 556 5.1.10 <b@example.com>: Recipient address rejected: Domain example.com does not accept mail
        Exim      RCPT 550 relay not permitted
        Exim      RCPT 550 Administrative prohibition
        Exim      RCPT 501 <b>: recipient address must contain a domain
        Postfix   RCPT 501 5.1.3 Bad recipient address syntax
        Exim      RCPT 550 Unrouteable address
        Exim      RCPT 550 Unknown user
        Exim      RCPT 501 b@: domain missing or malformed
        Exchange  RCPT 550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup
        Exchange  RCPT 550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain
        Exchange  RCPT 550 5.7.1 Unable to relay
        Exchange  RCPT 550 5.4.1 Recipient address rejected: Access denied
        Exchange  RCPT 550 5.2.1 RESOLVER.ADR.RecipientDisabled
        Gmail     RCPT 550 5.1.1 The email account that you tried to reach does not exist. - gsmtp
        Gmail     RCPT 550 5.2.1 The email account that you tried to reach is disabled. - gsmtp
        Gmail     RCPT 553 5.1.2 We weren't able to find the recipient domain. - gsmtp
        Gmail     RCPT 553 5.1.3 The recipient address is not a valid RFC 5321 address. - gsmtp
        Gmail     RCPT 552 5.2.2 The email account that you tried to reach is over quota. - gsmtp
        Gmail     RCPT 550 5.2.1 The user you are trying to contact is receiving mail too quickly. - gsmtp
        SES       RCPT 501 Invalid RCPT TO address provided
        Stalwart  RCPT 550 5.1.2 Mailbox does not exist.
        Stalwart  RCPT 550 5.1.2 Relay not allowed.
        OpenSMTPD RCPT 550 Invalid recipient: <b@example.com>
        OpenSMTPD RCPT 524 5.2.4 Mailing list expansion problem: <b@example.com>
        Haraka    RCPT 550 I cannot deliver mail for <b@example.com>
        Haraka    RCPT 550 Mail to b@example.com is not accepted here
        Yahoo     RCPT 554 delivery error: dd This user doesn't have a yahoo.com account (b@yahoo.com)
        GMX       RCPT 550 Requested action not taken: mailbox unavailable
        iCloud    RCPT 550 5.1.1 <b@icloud.com>: user does not exist
        iCloud    RCPT 552 5.2.2 <b@icloud.com>: user is over quota
        Fastmail  RCPT 550 5.1.1 <b@fastmail.com>: Recipient address rejected: User unknown in virtual mailbox table
        RFC 5321  RCPT 551 User not local; please try <b@elsewhere.example>
        RFC 5321  RCPT 553 Requested action not taken: mailbox name not allowed
        RFC 5321  RCPT 552 Requested mail action aborted: exceeded storage allocation
    """,
    (Scope.RECIPIENT, Time.LATER, Advice.WAIT): """
        Others    RCPT 550 5.7.1 Rate limit exceeded
        Others    RCPT 450 4.2.2 The mailbox has reached its monthly limit of mails
        Others    RCPT 452 4.2.1 Recipient's daily limit of messages exceeded
        Others    RCPT 450 4.7.1 Recipient address rejected: exceeded the hourly limit
        Postfix   RCPT 450 4.2.0 <b@example.com>: Recipient address rejected: Greylisted, see http://postgrey.example/
        Postfix   RCPT 450 4.1.1 <b@example.com>: Recipient address rejected: unverified address
        Postfix   RCPT 450 4.1.2 <b@example.com>: Recipient address rejected: Domain not found
        Postfix   RCPT 451 4.3.5 <b@example.com>: Recipient address rejected: Server configuration error
        Postfix   RCPT 450 4.7.1 Error: too many recipients from 192.0.2.1
        Postfix   RCPT 450 4.2.0 <b@example.com>: Recipient address rejected: Greylisted, see https://help.example/
        Postfix   RCPT 450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]
        Postfix   RCPT 421 4.3.2 relay.test Service shutting down
        Exim      RCPT 451 Temporary local problem - please try later
        Exim      RCPT 451 Could not complete sender verify callout
        Exchange  RCPT 451 4.7.500 Server busy. Please try again later from [192.0.2.1].
        Exchange  RCPT 450 4.7.320 Certificate validation failed
        Gmail     RCPT 450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents
        Gmail     RCPT 452 4.2.2 The email account that you tried to reach is over quota. - gsmtp
        Gmail     RCPT 451 4.3.0 Mail server temporarily rejected message. - gsmtp
        Stalwart  RCPT 451 4.4.3 Unable to verify address at this time.
        Stalwart  RCPT 452 4.2.2 Mailbox is full, try again later.
        OpenSMTPD RCPT 421 4.3.0 Temporary Error
        Haraka    RCPT 450 I cannot deliver for b@example.com at the moment
        Yahoo     RCPT 451 4.3.2 Internal error reading data
        GMX       RCPT 450 Requested mail action not taken: mailbox unavailable
        iCloud    RCPT 450 4.2.2 <b@icloud.com>: user is over quota
        RFC 5321  RCPT 452 Requested action not taken: insufficient system storage
        RFC 5321  RCPT 455 Server unable to accommodate parameters
    """,
    (Scope.RECIPIENT, Time.LATER, Advice.LOGIN): """
        Postfix   RCPT 454 4.7.1 <b@example.com>: Relay access denied
        Postfix   RCPT 454 4.7.1 <b>: Relay access denied
        OpenSMTPD RCPT 503 5.5.1 Invalid command: Command not allowed at this point.
        Exim      RCPT 503 sender not yet given
        Postfix   RCPT 530 5.7.0 Must issue a STARTTLS command first
        Postfix   RCPT 503 5.5.1 Error: need MAIL command
    """,
    (Scope.RECIPIENT, Time.NOW, Advice.NEXT_TRANSACTION): """
        Others    RCPT 550 5.7.1 Recipients per message limit exceeded
        Others    RCPT 550 5.7.1 Recipients limit reached
        Others    RCPT 554 max rcpts exceeded
        Others    RCPT 501 5.5.4 Too many RCPT TO
        Others    RCPT 550 5.7.1 Only 10 recipients are allowed per message
        RFC 5321  RCPT 452 Too many recipients
        Postfix   RCPT 452 4.5.3 Error: too many recipients
        Exim      RCPT 452 too many recipients
        Exim      RCPT 552 too many recipients
        Exchange  RCPT 452 4.5.3 Too many recipients
        Exchange  RCPT 550 5.5.3 Too many recipients
        Exchange  RCPT 550 5.5.3 RESOLVER.ADR.RecipLimit; too many recipients
        Gmail     RCPT 452 4.5.3 Your message has too many recipients. For more information, go to
        Gmail     RCPT 550 5.5.3 Too many recipients for this sender. - gsmtp
        Stalwart  RCPT 455 4.5.3 Too many recipients.
        OpenSMTPD RCPT 451 4.5.3 Too many recipients: Too many recipients
        Haraka    RCPT 452 Too many recipients
        Others    RCPT 554 5.7.1 Too many recipients
        Others    RCPT 550 Maximum number of recipients exceeded
    """,
    (Scope.MESSAGE, Time.NEVER, Advice.SIZE): """
        Postfix   MAIL 552 5.3.4 Message size exceeds fixed limit
        Exim      MAIL 552 Message size exceeds maximum permitted
        RFC 1870  MAIL 552 Requested mail action aborted
        OpenSMTPD MAIL 523 5.2.3 Message length exceeds administrative limit
        Postfix   CONTENT 552 5.3.4 Error: message file too big
        Exchange  CONTENT 554 5.2.0 STOREDRV.Deliver.Exception:MessageTooLarge
        Exchange  CONTENT 552 5.3.4 Message size exceeds fixed maximum message size
        Gmail     CONTENT 552 5.3.4 Your message exceeded Google's message size limits. - gsmtp
        Stalwart  CONTENT 552 5.3.4 Message too big for system.
        Haraka    CONTENT 552 5.3.4 Message too big!
        SendGrid  CONTENT 552 5.3.4 Message too large
    """,
    (Scope.MESSAGE, Time.NEVER, Advice.SENDER): """
        Postfix   MAIL 501 5.1.7 Bad sender address syntax
        Postfix   MAIL 555 5.5.4 Unsupported option: FOO=BAR
        Exim      MAIL 501 <ann@exa mple.com>: malformed address: mple.com> may not follow <ann@exa
        OpenSMTPD MAIL 553 5.1.0 Sender address syntax error
        SES       MAIL 501 Invalid MAIL FROM address provided
        RFC 6531  MAIL 550 5.6.7 Non-ASCII addresses not permitted for that sender
    """,
    (Scope.MESSAGE, Time.NEVER, Advice.CONTENT): """
        Postfix   DATA 554 5.5.1 Error: no valid recipients
        Postfix   CONTENT 550 5.7.1 message content rejected
        Postfix   CONTENT 554 5.4.0 Error: too many hops
        Exim      CONTENT 550 This message scored 12.3 spam points.
        Exim      CONTENT 550 maximum allowed line length is 998 octets, got 1200
        Exim      CONTENT 554 Too many "Received" headers - suspected mail loop
        Exchange  CONTENT 550 5.6.11 SMTPSEND.BareLinefeedsAreIllegal; message contains bare linefeeds
        Gmail     CONTENT 552 5.7.0 This message was blocked because its content presents a potential security issue.
        Gmail     CONTENT 550 5.7.1 Messages missing a valid Message-ID header are not accepted. - gsmtp
        Gmail     CONTENT 554 5.6.0 Mail message is malformed. Not accepted. - gsmtp
        SES       CONTENT 554 Transaction failed: Missing final '@domain'
        SES       CONTENT 554 Transaction failed: Expected disposition, got null
        Stalwart  CONTENT 554 5.7.1 Message rejected
        OpenSMTPD CONTENT 550 5.7.1 Message is not RFC 2822 compliant
        Haraka    CONTENT 550 Message contains a virus
        Yahoo     CONTENT 554 Message not allowed - [PH01] Email not accepted for policy reasons
        GMX       CONTENT 554 Transaction failed: Reject due to policy restrictions.
        iCloud    CONTENT 550 5.7.1 [CS01] Message rejected due to local policy.
    """,
    (Scope.MESSAGE, Time.LATER, Advice.WAIT): """
        Postfix   MAIL 452 4.3.1 Insufficient system storage
        Postfix   MAIL 450 4.1.8 <a@nowhere.example>: Sender address rejected: Domain not found
        Postfix   MAIL 451 4.3.0 Error: queue file write error
        Postfix   CONTENT 451 4.7.1 Service unavailable - try again later
        Exim      CONTENT 451 Temporary local problem - please try later
        Exim      CONTENT 451 Local error in processing
        Exim      MAIL 452 space shortage, please try later
        Exchange  CONTENT 451 4.7.0 Temporary server error. Please try again later. PRX2
        Exchange  MAIL 452 4.3.1 Insufficient system resources
        Exchange  CONTENT 451 4.7.500 Server busy. Please try again later
        Gmail     CONTENT 451 4.3.0 Mail server temporarily rejected message. - gsmtp
        Gmail     CONTENT 450 4.2.1 The user you are trying to contact is receiving mail too quickly. - gsmtp
        Gmail     CONTENT 451 4.5.0 SMTP protocol violation, visit RFC 2821. - gsmtp
        SES       CONTENT 451 Local error in processing
        Stalwart  CONTENT 451 4.3.5 Unable to accept message at this time.
        Stalwart  CONTENT 451 4.7.1 Greylisted, please try again in 300 seconds
        Haraka    CONTENT 450 Requeued
        SendGrid  CONTENT 451 Internal server error
        Mailgun   CONTENT 451 4.7.1 Temporarily deferred
        RFC 5321  DATA 451 Requested action aborted: error in processing
    """,
    (Scope.CONNECTION, Time.NOW, Advice.MAILS_PER_CONNECTION): """
        Others    MAIL 550 5.7.0 Maximum message count per session reached
        Others    MAIL 421 4.4.2 Session limit of 20 messages reached
        163.com   MAIL 450 MI:DMC 163 smtp5,http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.1
        Stalwart  MAIL 452 4.4.5 Maximum number of messages per session exceeded.
        Exim      MAIL 421 too many messages in this connection
        Yahoo     MAIL 421 Max message per connection reached, closing transmission channel
        OpenSMTPD MAIL 421 4.5.0 Too many messages in this session
    """,
    (Scope.CONNECTION, Time.NOW, Advice.NEW_CONNECTION): """
        Others    RCPT 421 4.7.1 Too many unknown recipients, closing connection
        Others    RCPT 550 5.1.1 Too many bad recipients; closing
        Postfix   RCPT 421 4.7.0 relay.test Error: too many errors
        Postfix   MAIL 421 4.7.0 relay.test Error: too many errors
        Exim      MAIL 421 relay.test too many syntax or protocol errors
        Stalwart  MAIL 452 4.4.5 Session open for too long
        Stalwart  MAIL 452 4.7.28 Session exceeded transfer quota
    """,
    (Scope.CONNECTION, Time.LATER, Advice.CROWDED): """
        QQ        MAIL 550 Ip frequency limited http://service.mail.qq.com
        QQ        MAIL 550 Connection frequency limited http://service.mail.qq.com
        Exchange  CONTENT 432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded
        Others    GREETING 554 5.7.1 too many connections from your IP
        Others    MAIL 550 5.7.1 Too many connections, slow down
        Others    CONTENT 550 5.7.1 Rate limit exceeded. Please wait 60 seconds
        Gmail     CONTENT 421 4.7.26 This mail has been rate limited because it is unauthenticated.
        163.com   GREETING 421 HL:ICC 163 smtp5,http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.1
        Postfix   GREETING 421 4.7.0 relay.test Error: too many connections from 192.0.2.1
        Postfix   GREETING 421 4.7.0 relay.test Error: too many new connections from 192.0.2.1
        Postfix   MAIL 450 4.7.1 Error: too much mail from 192.0.2.1
        Exim      GREETING 421 Too many concurrent SMTP connections; please try again later.
        Exim      GREETING 421 Too many concurrent SMTP connections from this IP address; please try again later.
        Exchange  MAIL 432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending
        Exchange  CONTENT 432 4.3.2 Concurrent connections limit exceeded
        Exchange  GREETING 421 4.3.2 The maximum number of concurrent connections has exceeded a limit
        Gmail     CONTENT 421 4.7.28 Gmail has detected an unusual rate of unsolicited mail - gsmtp
        Gmail     GREETING 421 4.7.0 Too many concurrent SMTP connections from this IP address - gsmtp
        SES       CONTENT 454 Throttling failure: Maximum sending rate exceeded
        SES       MAIL 454 4.7.0 Throttling failure: Maximum sending rate exceeded
        SES       GREETING 421 Too many concurrent SMTP connections
        Emailit   MAIL 452 4.4.5 Messages per second limit exceeded
        SendGrid  MAIL 450 too frequent connects from 192.0.2.1, please try again later.
        Aruba     GREETING 421 mxcmd09.example bizsmtp Too many connections, try later.
        Zimbra    MAIL 450 too many connections from your IP (rate controlled)
        Haraka    GREETING 421 Too many concurrent connections
    """,
    (Scope.CONNECTION, Time.LATER, Advice.AWAY): """
        RFC 5321  MAIL 421 relay.test Service not available, closing transmission channel
        Postfix   MAIL 421 4.4.2 relay.test Error: timeout exceeded
        Exchange  MAIL 421 4.4.2 Message submission rate for this client has exceeded the configured limit
        Gmail     MAIL 421 4.7.0 Try again later, closing connection. (EHLO) - gsmtp
        Yahoo     GREETING 421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints
        Outlook   MAIL 421 RP-001 (SNT0-MC2-F19) Unfortunately, some messages from 192.0.2.1 weren't sent
        OpenSMTPD MAIL 421 4.3.0 Temporary Error
        GMX       GREETING 421 (mxgmx104) Nemesis ESMTP Service not available
    """,
    (Scope.ACCOUNT, Time.TOMORROW, Advice.QUOTA): """
        cPanel    RCPT 550 Domain example.com has exceeded the max emails per hour (100/100 (100%)) allowed.
        cPanel    CONTENT 554 5.7.1 Domain example.com has exceeded the max emails per hour (100/100 (100%)) allowed.
        QQ        CONTENT 550 Daily frequency limited http://service.mail.qq.com
        QQ        MAIL 550 Domain frequency limited http://service.mail.qq.com
        OVH       DATA 550 5.7.1 Maximum number of emails per day reached
        Others    RCPT 550 5.7.1 Sender limit exceeded: too many messages sent by you today
        Others    MAIL 452 Your account has reached its quota of 300 emails
        163.com   CONTENT 550 MI:STC smtp5,a1,http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.1
        163.com   CONTENT 451 MI:SFQ 163 smtp5,http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.1
        163.com   RCPT 451 RP:QRC 163 smtp5,http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.1
        Gmail     CONTENT 550 5.4.5 Daily user sending quota exceeded. - gsmtp
        Gmail     CONTENT 550 5.4.5 Daily user sending limit exceeded. - gsmtp
        Gmail     RCPT 550 5.4.5 Daily SMTP relay sending limit exceeded for this user. - gsmtp
        Gmail     MAIL 550 5.7.1 Daily SMTP relay limit exceeded for customer. - gsmtp
        Gmail     MAIL 450 4.2.1 Peak SMTP relay limit exceeded for this customer. - gsmtp
        Gmail     CONTENT 552 5.4.5 Daily sending quota exceeded
        Exchange  CONTENT 550 5.1.90 Your message can't be sent because you've reached your daily limit for recipients
        Exchange  CONTENT 554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException
        SES       CONTENT 454 Throttling failure: Daily message quota exceeded
        Emailit   MAIL 452 4.5.3 Daily message limit exceeded
        SendGrid  AUTH 535 Authentication failed: Maximum credits exceeded
        SendGrid  AUTH 451 Authentication failed: Maximum credits exceeded
    """,
    (Scope.ACCOUNT, Time.LATER, Advice.BLOCKED): """
        Exchange  CONTENT 550 5.7.501 Access denied, spam abuse detected
        Exchange  RCPT 550 5.7.502 Access denied, banned sender
        Exchange  CONTENT 550 5.7.750 Service unavailable. Client blocked from sending from unregistered domain
        Zoho      CONTENT 550 5.4.6 Unusual sending activity detected. Please try after some time
        cPanel    RCPT 550 Outgoing mail from "ann" has been suspended.
        Others    MAIL 550 Your mailbox has been disabled for outgoing mail
        Others    CONTENT 550 5.7.1 Account disabled
        Others    CONTENT 554 5.7.1 Your account is under review
        Mailgun   CONTENT 421 Domain a.example is not allowed to send: Please activate your Mailgun account.
        Exchange  CONTENT 550 5.1.8 Access denied, bad outbound sender.
        Exchange  MAIL 550 5.7.705 Access denied, tenant has exceeded threshold
        SES       CONTENT 554 Message rejected: Sending paused for this account.
        Brevo     MAIL 502 5.7.0 Your SMTP account is not yet activated.
        Others    AUTH 535 5.7.8 Your account has been suspended
    """,
    (Scope.ACCOUNT, Time.LATER, Advice.QUOTA): """
        Mailgun   DATA 421 Domain a.example is not allowed to send: recipient limit exceeded, try again after
        Mailgun   RCPT 421 Domain a.example is not allowed to send: recipient limit exceeded, try again after
        Exchange  MAIL 550 5.2.252 Sender throttled due to continuous send as denied errors.
        Exchange  MAIL 550 5.2.255 Sender throttled due to continuous invalid recipients errors.
    """,
    (Scope.RELAY, Time.LATER, Advice.STRANGER): """
        Postfix   GREETING 554 5.7.1 No SMTP service here
        RFC 5321  GREETING 554 No SMTP service here
        Exim      EHLO 550 you are not welcome here
    """,
    (Scope.RELAY, Time.LATER, Advice.NO_STARTTLS): """
        Postfix   STARTTLS 502 5.5.1 Error: command not implemented
    """,
    (Scope.RELAY, Time.LATER, Advice.AWAY): """
        Postfix   STARTTLS 454 4.7.0 TLS not available due to local problem
        Postfix   AUTH 454 4.7.0 Temporary authentication failure: generic failure
        Postfix   AUTH 454 4.7.0 Temporary authentication failure: Connection lost to authentication server
        Exim      GREETING 554 SMTP synchronization error
        Exchange  MAIL 450 4.3.2 System not accepting network messages
        SES       AUTH 454 4.7.0 Temporary authentication failure
        Emailit   AUTH 454 Temporary authentication failure
        Yahoo     CONTENT 451 4.3.2 Internal error reading data
        RFC 3463  CONTENT 453 4.3.2 System not accepting network messages
    """,
    (Scope.CONFIGURATION, Time.LATER, Advice.LOGIN): """
        Exchange  MAIL 530 5.7.1 Client was not authenticated
        Postfix   MAIL 530 5.7.1 Authentication required
        Yahoo     MAIL 553 Authentication is required to send mail as <a@example.com>
        Postfix   MAIL 530 5.7.0 Must issue a STARTTLS command first
        Postfix   AUTH 535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6
        Postfix   MAIL 503 5.5.1 Error: send HELO/EHLO first
        Exim      MAIL 503 sender already given
        OpenSMTPD MAIL 530 5.5.1 Invalid command: Must issue a STARTTLS command first
        OpenSMTPD DATA 503 5.5.4 Invalid command arguments: No recipient specified
        Exim      AUTH 535 Incorrect authentication data
        Exchange  MAIL 530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM
        Gmail     MAIL 530 5.7.0 Authentication Required. - gsmtp
        SES       MAIL 530 Authentication required
        SES       AUTH 535 Authentication Credentials Invalid
        Stalwart  MAIL 503 5.5.1 You must authenticate first.
        OpenSMTPD AUTH 535 Authentication failed
        iCloud    AUTH 535 5.7.8 Error: authentication failed: authentication failure
        GMX       AUTH 535 Authentication credentials invalid
        RFC 4954  AUTH 538 5.7.11 Encryption required for requested authentication mechanism
    """,
    (Scope.CONFIGURATION, Time.LATER, Advice.GREETING): """
        Postfix   EHLO 504 5.5.2 <django>: Helo command rejected: need fully-qualified hostname
    """,
    (Scope.CONFIGURATION, Time.LATER, Advice.SMTP_AUTH): """
        Exchange  AUTH 535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.
        Exchange  AUTH 535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.
        Exchange  AUTH 535 5.7.3 Authentication unsuccessful
    """,
    (Scope.CONFIGURATION, Time.LATER, Advice.NO_PASSWORDS): """
        Exchange  AUTH 550 5.7.30 Basic authentication is not supported for Client Submission.
    """,
    (Scope.CONFIGURATION, Time.LATER, Advice.GOOGLE_LOGIN): """
        Gmail     AUTH 535 5.7.8 Username and Password not accepted. - gsmtp
        Gmail     AUTH 534 5.7.9 Application-specific password required. - gsmtp
        Gmail     AUTH 534 5.7.14 Please log in through your web browser and then try again. - gsmtp
    """,
    (Scope.CONFIGURATION, Time.NEVER, Advice.SEND_AS): """
        Postfix   MAIL 553 5.7.2 <a@example.com>: Sender address rejected: not owned by user ann
        Postfix   RCPT 553 5.7.1 <a@example.com>: Sender address rejected: not owned by user ann
        Zoho      CONTENT 553 Relaying disallowed as a@example.com
        Zoho      MAIL 553 Sender is not allowed to relay emails
        163.com   MAIL 553 Mail from must equal authorized user
        QQ        MAIL 501 mail from address must be same as authorization user.
        Yandex    CONTENT 553 5.7.1 Sender address rejected: not owned by auth user.
        Exchange  CONTENT 550 5.7.60 SMTP; Client does not have permissions to send as this sender
        Exchange  CONTENT 554 5.2.252 SendAsDenied; a@example.com not allowed to send as b@example.com
        Postfix   MAIL 553 5.7.1 <a@example.com>: Sender address rejected: not owned by user ann
        Postfix   RCPT 553 5.7.1 <a@example.com>: Sender address rejected: not owned by user ann
    """,
    (Scope.CONFIGURATION, Time.NEVER, Advice.CLIENT): """
        Postfix   RCPT 553 5.7.1 <a@example.com>: Sender address rejected: not logged in
        Postfix   RCPT 553 5.7.1 <a@example.com>: Sender address rejected: not logged in
        Postfix   RCPT 554 5.7.1 <localhost[127.0.0.1]>: Client host rejected: Access denied
        Postfix   RCPT 554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using bl.example
        Postfix   MAIL 554 5.7.1 <localhost[127.0.0.1]>: Client host rejected: Access denied
        Postfix   RCPT 550 5.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]
    """,
    (Scope.CONFIGURATION, Time.NEVER, Advice.SENDER): """
        Postfix   MAIL 550 5.1.8 <a@nowhere.example>: Sender address rejected: Domain not found
        Postfix   RCPT 550 5.1.8 <a@nowhere.example>: Sender address rejected: Domain not found
        Postfix   RCPT 554 5.7.1 <a@example.com>: Sender address rejected: Access denied
        Exim      RCPT 550 Verification failed for <a@nowhere.example> Sender verify failed
        Exim      MAIL 550 Sender verify failed
        Postfix   RCPT 550 5.1.8 <a@nowhere.example>: Sender address rejected: Domain not found
    """,
    (Scope.CONFIGURATION, Time.NEVER, Advice.VERIFY): """
        Brevo     CONTENT 550 5.7.0 From address not verified: a@example.com
        SES       CONTENT 554 Message rejected: Email address is not verified.
        SendGrid  CONTENT 550 The from address does not match a verified Sender Identity.
    """,
    (Scope.CONFIGURATION, Time.NEVER, Advice.DNS): """
        Exchange  CONTENT 550 5.7.509 Access denied, sending domain example.com does not pass DMARC verification
        Yahoo     CONTENT 554 5.7.9 Message not accepted for policy reasons: DMARC
        Gmail     CONTENT 550 5.7.1 Unauthenticated email from example.com is not accepted due to its DMARC policy
        Gmail     CONTENT 550 5.7.26 This mail is unauthenticated, which poses a security risk. - gsmtp
        Gmail     CONTENT 550 5.7.27 The sending domain has no passing SPF check. - gsmtp
        Gmail     CONTENT 550 5.7.30 The mail has no passing DKIM signature. - gsmtp
        Outlook   CONTENT 550 5.7.515 Access denied, sending domain does not meet the required authentication level.
        RFC 7372  CONTENT 550 5.7.23 SPF validation failed
    """,
    (Scope.CONFIGURATION, Time.NEVER, Advice.GREETING): """
        Postfix   RCPT 504 5.5.2 <django>: Helo command rejected: need fully-qualified hostname
    """,
    (Scope.CONFIGURATION, Time.NEVER, Advice.REVERSE_DNS): """
        Gmail     CONTENT 550 5.7.25 The IP address sending this message does not have a PTR record. - gsmtp
    """,
}
CASES = [
    (*line.split(maxsplit=1), *meaning)
    for meaning, lines in REPLIES.items()
    for line in (line.strip()[len("Postfix   ") :] for line in lines.strip().splitlines())
]


@pytest.mark.parametrize(("place", "reply", "scope", "time", "advice"), CASES)
def test_what_a_real_server_says_is_sorted_by_whom_it_is_about_when_it_is_worth_another_try_and_what_helps(
    place, reply, scope, time, advice
):
    row = find_row(place, reply)
    assert (row.scope, row.time, row.advice) == (scope, time, advice)


def test_there_are_many():
    assert len(CASES) >= 150


@pytest.mark.parametrize(
    ("status", "name", "text", "scope", "time"),
    [
        (401, "", '{"errors":[{"message":"Maximum credits exceeded","field":null}]}', Scope.ACCOUNT, Time.TOMORROW),
        (402, "", "Insufficient credits to send this email. Required: 3, available: 1.", Scope.ACCOUNT, Time.TOMORROW),
        (429, "", "Daily sending limit of 5000 messages has been reached.", Scope.ACCOUNT, Time.TOMORROW),
        (429, "", "Too many requests. Maximum 2 messages per second allowed.", Scope.CONNECTION, Time.LATER),
        (401, "", "The provided authorization grant is invalid, expired, or revoked", Scope.CONFIGURATION, Time.LATER),
        (403, "invalid_api_key", "API key is invalid", Scope.CONFIGURATION, Time.LATER),
        (503, "", "<html>Service Unavailable", Scope.RELAY, Time.LATER),
        (408, "", "", Scope.MESSAGE, Time.LATER),
        (413, "", "Payload too large", Scope.MESSAGE, Time.NEVER),
        (422, "406", "You tried to send to a recipient that has been marked as inactive.", Scope.MESSAGE, Time.NEVER),
    ],
)
def test_a_providers_answer_is_sorted_by_the_same_table(status, name, text, scope, time):
    row = find_row_of_api(status, name, text)
    assert (row.scope, row.time) == (scope, time)
