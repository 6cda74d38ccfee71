from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm

from accounts.forms import LoginForm
from accounts.models import User
from accounts.names import NameFormField

admin.site.login_form = LoginForm


class NamedUserCreationForm(AdminUserCreationForm):
    class Meta(AdminUserCreationForm.Meta):
        model = User
        field_classes = {"username": NameFormField}

    def clean_username(self) -> Any:
        """Leave uniqueness to the model: Django's form takes Ann and ANN for one name, ours are two people."""
        return self.cleaned_data.get("username")


class NamedUserChangeForm(UserChangeForm):
    class Meta(UserChangeForm.Meta):
        model = User
        field_classes = {"username": NameFormField}


@admin.register(User)
class NamedUserAdmin(UserAdmin):
    form = NamedUserChangeForm
    add_form = NamedUserCreationForm
    date_hierarchy = "date_joined"
    list_display = ("username", "date_joined", "is_staff", "is_active")
