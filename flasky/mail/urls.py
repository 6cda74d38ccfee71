from django.urls import path

from flasky.mail import catalogue_views, views

app_name = "mailbox"
urlpatterns = [
    path("", views.mailbox, name="list"),
    path("charts/", views.charts, name="charts"),
    path("<int:pk>/", views.message, name="message"),
    path("<int:pk>/html/", views.html, name="html"),
    path("<int:pk>/eml/", views.eml, name="eml"),
    path("<int:pk>/attachment/<int:number>/", views.attachment, name="attachment"),
    path("templates/", catalogue_views.templates, name="templates"),
    path("templates/html/<str:language>/<slug:sample>/<path:kind>/", catalogue_views.html, name="template_html"),
    path("templates/<path:kind>/", catalogue_views.template, name="template"),
]
