from typing import Any

from django.http import HttpResponse
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.vary import vary_on_cookie
from django.views.generic import FormView

from accounts.forms import NameForm
from accounts.models import User
from accounts.visitor import Visitor, remember, visitor_of
from flasky.mail import cause_of


@method_decorator(vary_on_cookie, name="dispatch")
class IndexView(FormView):
    template_name = "index.html"
    form_class = NameForm
    success_url = reverse_lazy("index")
    http_method_names = ("get", "head", "post", "options")

    def form_valid(self, form: NameForm) -> HttpResponse:
        user, is_new = User.objects.get_or_create_visitor(form.cleaned_data["name"])
        response = super().form_valid(form)
        remember(Visitor(user.username, known=not is_new, cause=cause_of(user) if is_new else ""), response)
        return response

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        return super().get_context_data(visitor=visitor_of(self.request), **context)
