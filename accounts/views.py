"""Show the form, and store who types a new name; let people end their own sessions."""

from typing import Any

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse, reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST
from django.views.decorators.vary import vary_on_cookie
from django.views.generic import FormView

from accounts.forms import NameForm
from accounts.models import User
from accounts.robots import stamp
from accounts.sessions import end_all
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
        return super().get_context_data(visitor=visitor_of(self.request), asked=stamp(), **context)


@require_POST
def log_out_everywhere(request: HttpRequest) -> HttpResponse:
    """End all sessions of whoever asks, in this browser and in all others."""
    if request.user.is_authenticated:
        end_all(request.user)
        logout(request)
    return HttpResponseRedirect(reverse("admin:index"))
