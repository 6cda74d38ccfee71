from datetime import datetime, timedelta, timezone

import pytest
import trustme

from tests.conftest import use_relay
from tests.foreign.servers.exim import Exim
from tests.foreign.servers.opensmtpd import OpenSMTPD
from tests.foreign.servers.postfix import Postfix


@pytest.fixture(scope="session")
def certificate(certificate_authority):
    return certificate_authority.issue_cert("localhost", key_type=trustme.KeyType.RSA)


@pytest.fixture(scope="session", params=[Postfix, Exim, OpenSMTPD], ids=lambda kind: kind.name)
def running(request, certificate):
    with request.param(certificate) as server:
        yield server


@pytest.fixture
def server(running, settings):
    """Each of the servers, to which the project delivers without a login."""
    use_relay(settings, running.plain)
    return running


@pytest.fixture(scope="session")
def running_postfix(certificate, certificate_authority):
    yesterday = datetime.now(timezone.utc) - timedelta(days=1)
    expired = certificate_authority.issue_cert("localhost", not_after=yesterday, key_type=trustme.KeyType.RSA)
    with Postfix(certificate) as server:
        server.write("expired.pem", expired.private_key_and_cert_chain_pem.bytes().decode())
        yield server


@pytest.fixture
def through(settings):
    """Let the project deliver to one of the ports of a server."""
    return lambda port, **options: use_relay(settings, port, **options)
