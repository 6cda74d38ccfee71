"""Map the URLs of the development mailbox to its views."""

from django.urls import path

from flasky.mail.web import mailbox, previews

app_name = "mailbox"
urlpatterns = [
    path("", mailbox.mailbox, name="list"),
    path("<int:pk>/", mailbox.message, name="message"),
    path("<int:pk>/html/", mailbox.html, {"remote": False}, name="html"),
    path("<int:pk>/html-with-remote/", mailbox.html, {"remote": True}, name="remote"),
    path("<int:pk>/eml/", mailbox.eml, name="eml"),
    path("<int:pk>/attachment/<int:number>/", mailbox.attachment, name="attachment"),
    path("templates/", previews.templates, name="templates"),
    path("templates/html/<str:language>/<slug:sample>/<path:kind>/", previews.html, name="template_html"),
    path("templates/<path:kind>/", previews.template, name="template"),
]
