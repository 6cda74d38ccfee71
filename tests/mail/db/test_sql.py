"""flasky.mail.db.sql: what is written past the ORM is what the ORM reads, whatever tables and columns are called."""

import pytest
from django.db import connection, models
from django.test.utils import isolate_apps

from flasky.mail.db.sql import add, add_each, insert, insert_many, update_many

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def order():
    """Make a table whose name, key and columns are words of SQL, with capitals and a space."""
    with isolate_apps("flasky.mail"):

        class Order(models.Model):
            key = models.BigAutoField(primary_key=True, db_column="select")
            place = models.IntegerField(unique=True, db_column="group")
            total = models.IntegerField(default=0, db_column="Sum of all")
            content = models.BinaryField(default=b"", null=True, db_column="from")

            class Meta:
                app_label = "flasky_mail"
                db_table = "order By"

        with connection.schema_editor() as editor:
            editor.create_model(Order)
        yield Order
        with connection.schema_editor() as editor:
            editor.delete_model(Order)


def rows(model):
    return list(model.objects.order_by("place").values_list("place", "total"))


def test_an_inserted_instance_has_its_key_and_is_found_by_it(order):
    new = order(place=1, total=10, content=b"\xff\x00")
    insert(new, connection)
    stored = order.objects.get(pk=new.pk)
    assert (stored.place, stored.total, bytes(stored.content)) == (1, 10, b"\xff\x00")


def test_many_are_inserted_with_one_statement(order, django_assert_num_queries):
    with django_assert_num_queries(1):
        insert_many(order, ("place", "total"), [(1, 10), (2, 20)], connection)
    assert rows(order) == [(1, 10), (2, 20)]


def test_only_those_that_meet_the_guards_are_updated(order):
    insert_many(order, ("place", "total"), [(1, 10), (2, 20)], connection)
    cursor = update_many(order, ("total",), ("place", "total"), [(11, 1, 10), (22, 2, 0)], connection)
    assert cursor.rowcount == 1
    assert rows(order) == [(1, 11), (2, 20)]


def test_amounts_are_added_to_a_row_that_is_made_once(order):
    insert(order(place=1, total=10), connection)
    for place in (1, 2, 2):
        add(order, {"place": place}, {"total": 5}, connection)
    assert rows(order) == [(1, 15), (2, 10)]


def test_amounts_are_added_to_several_rows_with_one_statement(order):
    insert(order(place=1, total=10), connection)
    add_each(order, ("place",), ("total",), [(1, 5), (2, 7)], connection)
    assert rows(order) == [(1, 15), (2, 7)]
