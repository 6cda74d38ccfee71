"""flasky.site.address: where the links in mails lead to."""

import pytest

from flasky.site.address import site_url


@pytest.mark.parametrize(
    ("settings_", "address"),
    [
        ({"FLASKY_SITE_URL": "https://x.example:8443", "ALLOWED_HOSTS": ["y.example"]}, "https://x.example:8443"),
        ({"ALLOWED_HOSTS": ["*", ".example.com", "y.example"], "HTTPS": True}, "https://y.example"),
        ({"ALLOWED_HOSTS": ["y.example"], "HTTPS": False}, "http://y.example"),
        ({"ALLOWED_HOSTS": ["*"]}, ""),
        ({"ALLOWED_HOSTS": [], "DEBUG": True}, "http://127.0.0.1:8000"),
    ],
)
def test_it_is_the_setting_or_what_the_hosts_say(settings, settings_, address):
    for name, value in settings_.items():
        setattr(settings, name, value)
    assert site_url() == address
