"""Grinberg's Flasky as it was at 6a and 6b: the mail is sent in the request, or in a thread of its own.

Its form, session, table and mail; the mail's texts are what this project's templates come to, written for Jinja.
"""

import os
from datetime import datetime, timezone
from threading import Thread

from flask import Flask, redirect, render_template, render_template_string, session, url_for
from flask_mail import Mail, Message
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import FlaskForm
from wtforms import StringField, SubmitField
from wtforms.validators import DataRequired

IN_THREADS = os.environ.get("FLASKY_STEP") == "6b"
PAGE = """<!doctype html><title>Flasky</title>
<h1>Hello, {{ name or "Stranger" }}!</h1>
<p>{{ "Happy to see you again!" if known else "Pleased to meet you!" }}</p>
<form method="post">{{ form.hidden_tag() }}{{ form.name.label }} {{ form.name() }} {{ form.submit() }}</form>"""

app = Flask(__name__)
app.config.update(
    SECRET_KEY=os.environ["SECRET_KEY"],
    SQLALCHEMY_DATABASE_URI=os.environ["DATABASE_URL"].replace("postgres://", "postgresql+psycopg://"),
    MAIL_SERVER=os.environ["MAIL_SERVER"],
    MAIL_PORT=int(os.environ["MAIL_PORT"]),
)
mail = Mail(app)
db = SQLAlchemy(app)


class User(db.Model):
    __tablename__ = "flask_users"
    id = db.Column(db.Integer, primary_key=True)
    username = db.Column(db.String(64), unique=True, index=True)
    date_joined = db.Column(db.DateTime, default=lambda: datetime.now(timezone.utc))


class NameForm(FlaskForm):
    name = StringField("What is your name?", validators=[DataRequired()])
    submit = SubmitField("Submit")


@app.route("/", methods=["GET", "POST"])
def index():
    form = NameForm()
    if form.validate_on_submit():
        user = User.query.filter_by(username=form.name.data).first()
        if user is None:
            user = User(username=form.name.data)
            db.session.add(user)
            db.session.commit()
            session["known"] = False
            send_email(os.environ["FLASKY_ADMIN"], "New User", "new_user", user=user)
        else:
            session["known"] = True
        session["name"] = form.name.data
        return redirect(url_for("index"))
    return render_template_string(PAGE, form=form, name=session.get("name"), known=session.get("known", False))


def send_email(to, subject, template, **context):
    message = Message(f"[Flasky] {subject}", sender="Flasky Admin <flasky@example.com>", recipients=[to])
    message.body = render_template(f"{template}.txt", **context)
    message.html = render_template(f"{template}.html", **context)
    if IN_THREADS:
        Thread(target=send_in_context, args=[message]).start()
    else:
        mail.send(message)


def send_in_context(message):
    with app.app_context():
        mail.send(message)


def make_table():
    """Make the table, once; the database is one of Flasky's, so SQLite's is in WAL mode as well."""
    with app.app_context():
        db.create_all()


if __name__ == "__main__":
    make_table()
