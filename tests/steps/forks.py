"""Let forked processes do what ends with their death, and share out work among some that live."""

import faulthandler
import json
import multiprocessing
import multiprocessing.connection
import os
import sys
import traceback
from contextlib import suppress

PATIENCE = 60  # s until a child counts as stuck


def child(act, *arguments):
    """Run it in a fork and return the fork's number; its exit status is 1 if the act raises or takes too long."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        act(*arguments)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def exit_status(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def in_a_child(act, *arguments):
    """Run `act(say, …)` in a fork; return all that it said, and its exit status."""
    reading, writing = os.pipe()

    def say(*words):
        os.write(writing, json.dumps([words[0], words[1:]]).encode() + b"\n")

    pid = child(act, say, *arguments)
    os.close(writing)
    with os.fdopen(reading) as said:
        words = [json.loads(line) for line in said]
    return words, exit_status(pid)


def shared(jobs, processes, work):
    """Yield what `work(number, jobs)` yields in each of so many processes for its part of the jobs."""
    context = multiprocessing.get_context("fork")
    pipes, workers = [], []
    for number in range(processes):
        reading, writing = context.Pipe(duplex=False)
        workers.append(context.Process(target=_send, args=(writing, work, number, jobs[number::processes])))
        workers[-1].start()
        writing.close()
        pipes.append(reading)
    try:
        while pipes:
            for pipe in multiprocessing.connection.wait(pipes):
                try:
                    yield pipe.recv()
                except EOFError:
                    pipes.remove(pipe)
    finally:
        for pipe in pipes:
            pipe.close()  # who has more to tell stops there
        for worker in workers:
            worker.join()
    if any(worker.exitcode for worker in workers):
        raise RuntimeError("one of the processes that share the work has failed")


def _send(pipe, work, number, jobs):
    with suppress(BrokenPipeError):  # nobody wants to hear more
        for result in work(number, jobs):
            pipe.send(result)
