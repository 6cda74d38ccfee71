# One image for the web server, the workers and the commands of manage.py: docs/deployment.md shows how to run it.
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 PORT=8000
WORKDIR /app

RUN groupadd --gid 10001 flasky && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin flasky

# All of these come as wheels, so nothing is compiled here. MariaDB's driver would be.
COPY requirements.txt requirements-celery.txt requirements-postgresql.txt ./
RUN python -m pip install --no-cache-dir --only-binary=:all: \
    --requirement requirements.txt --requirement requirements-celery.txt --requirement requirements-postgresql.txt

# The files stay root's: the server cannot change its own code. chmod, because they may come from a strict umask.
# Python also leaves its bytecode here, which the base image comes without: the server can write none.
COPY . .
RUN SECRET_KEY=only-for-this-step python manage.py collectstatic --noinput && chmod -R a+rX .

USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-c", "import http.client, os, sys; server = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); server.request('GET', '/healthz'); sys.exit(server.getresponse().status != 200)"]

# At 0.0.0.0, because PORT is set. SIGTERM ends it within 30 s; Docker waits 10 unless it is told to wait longer.
CMD ["gunicorn", "flasky.wsgi"]
