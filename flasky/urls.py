"""Map the URLs of the site to its views."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView
from django.views.i18n import set_language

from accounts.notification_view import notification

handler400 = "flasky.site.middleware.bad_request"

urlpatterns = [
    path("", include("accounts.urls")),
    path("admin/", admin.site.urls),
    path("mailbox/", include("flasky.mail.web.urls")),
    path("language/", set_language, name="set_language"),
    path("notification/", notification, name="notification"),
    # Browsers ask for it beside whatever is no HTML of ours.
    path("favicon.ico", RedirectView.as_view(url=static("flasky/favicon.svg"))),
]
