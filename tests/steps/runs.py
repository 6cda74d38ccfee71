"""Tell the story in forked processes, each struck at one point, and have the end of each judged."""

import random
import signal
from dataclasses import dataclass, field

from tests.steps.faults import leaves_doubt, points, strike
from tests.steps.forks import in_a_child
from tests.steps.oracle import Oracle, end_the_story, open_claims
from tests.steps.points import BEFORE, Step, as_if_a_day_later, watch
from tests.steps.story import Story


@dataclass
class Run:
    """One telling, and what happens in it at which point."""

    act: str = ""  # of faults.ACTS, or nothing
    number: int = -1  # of the step
    when: str = BEFORE
    groups: bool = True  # whether the relay takes commands in groups
    step: Step | None = None

    def __str__(self):
        relay = "" if self.groups else ", to a relay that takes one command at a time"
        return f"{self.act} {self.when} {self.number}: {self.step}{relay}" if self.act else f"undisturbed{relay}"


@dataclass
class End:
    run: Run
    complaints: list = field(default_factory=list)
    steps: list = field(default_factory=list)  # only of an undisturbed run


def all_runs(acts, undisturbed):
    """Return each run of these acts; one command at a time is tried with deaths alone."""
    return [
        Run(act, number, when, end.run.groups, end.steps[number])
        for end in undisturbed
        for act in acts
        if end.run.groups or act == "death"
        for number, when in points(act, end.steps)
    ]


def a_third(runs, seed):
    return random.Random(seed).sample(runs, len(runs) // 3)


def play(theatre, run):
    """Return the End of a run."""
    relay = theatre.prepare(run.groups)
    told, status = in_a_child(tell, run)
    end = End(run, steps=[Step(*words) for what, words in told if what == "step"])
    if status != (-signal.SIGKILL if run.act == "death" else 0):
        end.complaints.append(f"the process ended with status {status}")
    struck = [words for what, words in told if what == "struck"]
    if run.act and struck != [list(run.step)]:
        end.complaints.append(f"the harness struck {struck}: the steps are not the same each time")
    promised = {words[-1] for what, words in told if what == "promise"}
    judged, status = in_a_child(judge, run, promised, relay)
    end.complaints += [words[0] for _, words in judged] + ([f"the judge ended with status {status}"] if status else [])
    return end


def tell(say, run):
    def at(number, step, when, reach):
        if not run.act and when == BEFORE:
            say("step", *step)
        if (number, when) == (run.number, run.when):
            say("struck", *step)
            strike(run.act, story, reach)

    as_if_a_day_later()
    story = Story(lambda *words: say("promise", *words))
    watch(at)
    story.run()


def judge(say, run, promised, relay):
    left = open_claims()
    if run.act == "stop" and left:
        say("complaint", f"{len(left)} claims were not given back")
    end_the_story()
    for complaint in Oracle(promised, relay.taken(), len(left), 2 * leaves_doubt(run.act, run.step)).complaints():
        say("complaint", complaint)
