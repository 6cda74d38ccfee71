"""Ask for a name: of a visitor, and of whoever logs in."""

from typing import Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.names import NameFormField
from accounts.reserved import is_reserved
from accounts.robots import looks_like_a_robots


class NameForm(forms.Form):
    name = NameFormField(
        label=_("What is your name?"),
        label_suffix="",
        widget=forms.TextInput(attrs={"autocomplete": "name", "dir": "auto"}),
    )

    def clean(self) -> None:
        """Ask whoever looks like a robot to send the form once more, as a person can."""
        if looks_like_a_robots(self.data):
            raise forms.ValidationError(_("That went too quickly. Please send the form once more."), code="robot")

    def clean_name(self) -> str:
        """Refuse a name that could pass for one of the site's own people."""
        name: str = self.cleaned_data["name"]
        if is_reserved(name):
            raise forms.ValidationError(
                _("This name is kept for the people who look after this site. Please choose another."), code="reserved"
            )
        return name

    def put_off(self, minutes: int) -> None:
        """Say when to send the form once more; what was typed stays in it."""
        message = ngettext(
            "There were too many new names in a short time, and this one was not stored. Please send the form once "
            "more in a minute.",
            "There were too many new names in a short time, and this one was not stored. Please send the form once "
            "more in %(minutes)d minutes.",
            minutes,
        )
        self.add_error(None, forms.ValidationError(message, code="too_many", params={"minutes": minutes}))


class LoginForm(AdminAuthenticationForm):
    """Django's own field would change the name (NFKC) before looking it up."""

    username: Any = NameFormField(widget=forms.TextInput(attrs={"autofocus": True, "autocomplete": "username"}))
