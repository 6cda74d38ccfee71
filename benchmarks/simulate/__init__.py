"""What the queue does when the world misbehaves, in a model.

Nothing is sent and nobody sleeps: arrivals, threads, relay and database are modelled, and hours pass in seconds. The
rules are the real ones: flasky.mail.delivery is asked what becomes of a refused message and when it is tried again; the
order and the size of claims and the pauses between probes follow its and the worker's constants.
"""

import os

import django
from django.apps import apps

if not apps.ready:  # under pytest they are
    os.environ.update(DJANGO_SETTINGS_MODULE="flasky.settings", ENV_FILE=os.devnull, SECRET_KEY="for no request")
    django.setup()
