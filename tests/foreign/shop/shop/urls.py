from django.contrib import admin
from django.urls import include, path
from mail import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/", include("django.contrib.auth.urls")),
    path("send/<str:way>/", views.send),
]
