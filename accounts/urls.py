"""Map the URLs of the form and of what everybody may do with their own account to the views."""

from django.contrib import admin
from django.urls import path

from accounts.logins import password_change
from accounts.views import IndexView, log_out_everywhere

urlpatterns = [
    path("", IndexView.as_view(), name="index"),
    path("admin/logout/everywhere/", log_out_everywhere, name="log_out_everywhere"),
    path("admin/password_change/", admin.site.admin_view(password_change, cacheable=True)),
]
