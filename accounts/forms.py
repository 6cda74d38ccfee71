from typing import Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm

from accounts.names import NameFormField


class NameForm(forms.Form):
    name = NameFormField(
        label="What is your name?",
        widget=forms.TextInput(attrs={"autocomplete": "name", "dir": "auto"}),
    )


class LoginForm(AdminAuthenticationForm):
    """Django's own field would change the name (NFKC) before looking it up."""

    username: Any = NameFormField(widget=forms.TextInput(attrs={"autofocus": True, "autocomplete": "username"}))
