from django.http import HttpResponse
from django.urls import reverse_lazy
from django.views.generic import FormView

from accounts.forms import NameForm
from accounts.models import User
from flasky.mail import cause_of


class IndexView(FormView):
    template_name = "index.html"
    form_class = NameForm
    success_url = reverse_lazy("index")
    http_method_names = ("get", "head", "post", "options")

    def form_valid(self, form: NameForm) -> HttpResponse:
        user, is_new = User.objects.get_or_create_visitor(form.cleaned_data["name"])
        self.request.session["name"] = user.username
        self.request.session["known"] = not is_new
        if is_new:
            self.request.session["cause"] = cause_of(user)  # of the mail whose fate the page tells
        else:
            self.request.session.pop("cause", None)
        return super().form_valid(form)
