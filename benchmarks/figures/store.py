"""What storing a mail costs: send_email(), rendering included, against the peers with the texts rendered already."""

from contextlib import ExitStack

from benchmarks import databases
from benchmarks.child import Child, Missing
from benchmarks.figure import Figure

SUBJECTS = (
    ("Flasky", "flasky"),
    ("django-post_office", "post_office"),
    ("django-mailer", "django_mailer"),
    ("django-tasks-db", "tasks_db"),
)


def measure(database, scratch, rounds, quick):
    wall = Figure("store", "Storing a mail, wall time", "ms", database.name)
    cpu = Figure("store", "Storing a mail, CPU time", "ms", database.name)
    count = 100 if quick else 500
    with ExitStack() as stack:
        children = {}
        for label, module in SUBJECTS:
            environment = databases.settings(database.new(), peer=module != "flasky")
            child = Child(f"benchmarks.peers.{module}", scratch, environment)
            stack.callback(child.stop)
            children[label] = child
        for number in range(rounds + 1):
            for label, child in list(children.items()):
                try:
                    answer = child.ask("store", 300, count=count)
                except Missing as reason:
                    wall.notes.append(f"{label}: {reason}")
                    del children[label]
                    continue
                if number:  # the first round is for warming up
                    wall.add(label, 1000 * answer["seconds"] / count)
                    cpu.add(label, 1000 * answer["cpu_seconds"] / count)
    for figure in (wall, cpu):
        figure.ratio("Flasky", "django-post_office", 0.9)
    wall.notes.append(f"Mails per round: {count}; each commits by itself")
    return [wall, cpu]
