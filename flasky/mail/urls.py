from django.urls import path

from flasky.mail import views

app_name = "mailbox"
urlpatterns = [
    path("", views.mailbox, name="list"),
    path("<int:pk>/", views.message, name="message"),
    path("<int:pk>/html/", views.html, name="html"),
    path("<int:pk>/source/", views.source, name="source"),
]
