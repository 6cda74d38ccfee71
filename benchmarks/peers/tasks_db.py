"""django-tasks-db: a task per mail, its worker in the way of `manage.py db_worker --batch`, which is one thread."""

from django.core.management import call_command
from django.db import connection
from django_tasks import task
from django_tasks_db.models import DBTaskResult

from benchmarks import mails, tables


@task()
def send(mail):
    mails.composed(mail).send()


def store(count):
    mail = mails.rendered()
    for _ in range(count):
        send.enqueue(mail)


def drain():
    call_command("db_worker", batch=True, startup_delay=False, reload=False)
    failed = DBTaskResult.objects.exclude(status="SUCCESSFUL").count()
    connection.close()
    assert not failed, f"{failed} tasks did not succeed"


def clear():
    tables.empty(DBTaskResult)


def settle():
    tables.settle()
