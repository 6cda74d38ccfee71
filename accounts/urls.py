"""Map the URLs of the form and of what everybody may do with their own account to the views."""

from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import path

from accounts.logins import password_change
from accounts.resets import ResetView
from accounts.views import IndexView, log_out_everywhere

urlpatterns = [
    path("", IndexView.as_view(), name="index"),
    path("admin/logout/everywhere/", log_out_everywhere, name="log_out_everywhere"),
    path("admin/password_change/", admin.site.admin_view(password_change, cacheable=True)),
    # By these names the admin's log-in page leads to them, and their pages are the admin's.
    path("admin/password_reset/", ResetView.as_view(), name="admin_password_reset"),
    path("admin/password_reset/done/", auth_views.PasswordResetDoneView.as_view(), name="password_reset_done"),
    path("admin/reset/<uidb64>/<token>/", auth_views.PasswordResetConfirmView.as_view(), name="password_reset_confirm"),
    path("admin/reset/done/", auth_views.PasswordResetCompleteView.as_view(), name="password_reset_complete"),
]
