"""Processes that a test starts, and that do not outlive it."""

import subprocess


class Child(subprocess.Popen):
    """A process that whoever leaves the `with` waits for, as with any other, but that is killed if the test fails."""

    def __exit__(self, failure, *error):
        if failure:
            self.kill()
        super().__exit__(failure, *error)
