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
from accounts.newcomers import let_in
from accounts.robots import stamp
from accounts.sessions import end_all
from accounts.visitor import numbered, remember, visitor_of
from flasky.guard.clients import network
from flasky.guard.limits import TooMany
from flasky.guard.refusing import refused
from flasky.mail import OutboxFull, cause_of


@method_decorator(vary_on_cookie, name="dispatch")
class IndexView(FormView):
    template_name = "index.html"
    form_class = NameForm
    success_url = reverse_lazy("index")
    http_method_names = ("get", "head", "post", "options")

    def form_valid(self, form: NameForm) -> HttpResponse:
        name, visitor = form.cleaned_data["name"], numbered(visitor_of(self.request))
        user, is_new = User.objects.filter(username=name).first(), False
        if user is None:
            try:
                user, is_new = let_in(name, visitor, network(self.request))
            except (TooMany, OutboxFull) as refusal:
                return self.form_refused(form, refusal)
        response = super().form_valid(form)
        cause = cause_of(user) if is_new else ""
        remember(visitor._replace(name=user.username, known=not is_new, cause=cause), response)
        return response

    def form_refused(self, form: NameForm, refusal: TooMany | OutboxFull) -> HttpResponse:
        """Show the form as it was sent: once the time is over, the same button sends it again."""
        form.put_off(refusal.minutes)
        return refused(self.form_invalid(form), refusal)

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        return super().get_context_data(visitor=visitor_of(self.request), asked=stamp(), **context)


@require_POST
def log_out_everywhere(request: HttpRequest) -> HttpResponse:
    """End all sessions of whoever asks, in this browser and in all others."""
    if request.user.is_authenticated:
        end_all(request.user)
        logout(request)
    return HttpResponseRedirect(reverse("admin:index"))
