"""URLs of a project with admin sites that know nothing of Flasky's pages, and a mailbox under another name."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.urls import include, path

from accounts.models import User
from flasky.mail.admin import OutboxMessageAdmin
from flasky.mail.models import OutboxMessage

office = admin.AdminSite(name="office")
office.register(OutboxMessage, OutboxMessageAdmin)
office.register(User, UserAdmin)
kiosk = admin.AdminSite(name="kiosk")  # without the outbox

urlpatterns = [
    path("back/office/", office.urls),
    path("kiosk/", kiosk.urls),
    path("dev/", include(([path("mails/", include("flasky.mail.web.urls", namespace="mails"))], "dev"))),
]
