from django.core.mail import mail_admins, send_mail
from django.http import HttpResponse

from flasky.mail import send_email

WAYS = {
    "send_mail": lambda: send_mail("Your order", "Thank you.", "shop@example.com", ["bob@example.com"]),
    "mail_admins": lambda: mail_admins("Out of stock", "No more tea."),
    "send_email": lambda: send_email("bob@example.com", "Welcome", "mail/welcome", name="O'Brien & Co"),
}


def send(request, way):
    WAYS[way]()
    return HttpResponse("sent")
