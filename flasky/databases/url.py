"""Turn DATABASE_URL into Django's description of a database."""

from importlib import import_module
from importlib.util import find_spec

import environ
from django.utils.translation import gettext_noop as _

from flasky.env import BASE_DIR, Phrase

# A link that is cut says nothing: without these, a thread would wait for hours for an answer that never comes.
POSTGRESQL_PATIENCE = {
    "keepalives_idle": 10,  # s without a word until the server is asked whether it is there
    "keepalives_interval": 5,  # s between two such questions
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # ms for the server to acknowledge what was sent
}
MYSQL_PATIENCE = {"read_timeout": 60, "write_timeout": 60}  # s for an answer; a migration's statements must be quicker

# Of PostgreSQL connections, for each process: whoever waits for a mail server or a visitor holds none meanwhile.
# reconnect_timeout: by default the pool waits longer and longer to try again, and nobody else may try meanwhile.
POOL = {"min_size": 0, "max_size": 20, "timeout": 5, "max_idle": 60, "reconnect_timeout": 1}  # the last three: s

DATABASE_DRIVERS = {
    "postgresql": ("psycopg", "'psycopg[binary,pool]'", "-r requirements-postgresql.txt"),
    "mysql": ("MySQLdb", "mysqlclient", "-r requirements-databases.txt"),
}


def why_not_imported(module):
    """Return what Python says of a driver that is not there, or whose library is not; nothing if it can be used."""
    try:
        import_module(module)
    except ImportError as error:
        return " ".join(str(error).split()).rstrip(".")
    return ""


def database(url):
    """Return Django's description of the database at `url`, with the options that this project relies on."""
    if url.partition(":")[0] not in ("sqlite", "postgres", "postgresql", "mysql"):
        raise ValueError(Phrase(_("sqlite:///file, postgres://… or mysql://…")))
    try:
        description = environ.Env.db_url_config(url)
    except Exception as error:  # urllib and django-environ raise several kinds for a malformed URL
        raise ValueError(Phrase(_("a URL such as postgres://user:password@host:5432/name"))) from error
    if not description["NAME"]:
        phrase = _("a URL that ends in the database's name, such as postgres://user:password@host:5432/name")
        raise ValueError(Phrase(phrase))
    for engine, (module, package, file) in DATABASE_DRIVERS.items():
        if description["ENGINE"].endswith(engine) and (why_not := why_not_imported(module)):
            phrase = _(
                "that of a database whose driver is installed. Its driver %(module)s cannot be imported (%(why_not)s). "
                "Run: pip install %(package)s, or with the versions that are tested: pip install %(file)s"
            )
            raise ValueError(Phrase(phrase, module=module, why_not=why_not, package=package, file=file))
    description["ENGINE"] = description["ENGINE"].replace("django.db.backends", "flasky.databases")
    options = description.setdefault("OPTIONS", {})
    if description["ENGINE"].endswith("sqlite3"):
        if description["NAME"] != ":memory:":
            description["NAME"] = str(BASE_DIR / description["NAME"])  # the same file from every working directory
        # When the last connection closes, SQLite moves its log into the file: keeping one spares every request that.
        description["CONN_MAX_AGE"] = None
        # A transaction that reads before it writes cannot wait for the lock; IMMEDIATE takes it at the start.
        options.update(transaction_mode="IMMEDIATE", timeout=20, init_command="PRAGMA journal_mode=WAL")  # timeout: s
    else:
        options.setdefault("connect_timeout", 5)  # s
        if description["ENGINE"].endswith("mysql"):
            # Leases are reckoned by the server's clock; its local time jumps twice a year.
            options["init_command"] = "SET time_zone = '+00:00'"
            options.update(MYSQL_PATIENCE | options)
        else:
            options.update(POSTGRESQL_PATIENCE | options)
            if find_spec("psycopg_pool") and not description.get("CONN_MAX_AGE"):  # Django has the one or the other
                options["pool"] = dict(POOL)
        description["CONN_HEALTH_CHECKS"] = True
    return description
