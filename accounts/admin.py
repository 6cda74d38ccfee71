"""Let the admin manage users by their names, and lead from a user to the mails about them."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts.forms import LoginForm
from accounts.models import User
from accounts.names import NameFormField
from accounts.sessions import end_all
from flasky.mail import cause_of

admin.site.login_form = LoginForm
MAILS: Any = (_("Mails"), {"fields": ("language", "mails")})
PLAIN: Any = ()  # the widget for two lists has a help that screen readers cannot read


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
    readonly_fields = ("last_login", "date_joined", "mails")  # Django's own widget for a time has no label
    filter_horizontal = PLAIN
    fieldsets = (*(UserAdmin.fieldsets or ()), MAILS)

    actions = ("log_out_everywhere",)

    @admin.action(description=_("Log out everywhere"), permissions=["change"])
    def log_out_everywhere(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """End every session of the chosen users."""
        ended = sum(map(end_all, users))
        sentence = ngettext("%(count)s session was ended.", "%(count)s sessions were ended.", ended)
        self.message_user(request, sentence % {"count": ended})

    @admin.display(description=_("about this user"))
    def mails(self, user: User) -> str:
        url = reverse("admin:flasky_mail_outboxmessage_changelist", query={"cause": cause_of(user)})
        return format_html('<a href="{}">{}</a>', url, gettext("Show in the outbox"))


admin.site.unregister(Group)


@admin.register(Group)
class PlainGroupAdmin(GroupAdmin):
    filter_horizontal = PLAIN
