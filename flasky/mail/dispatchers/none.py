"""Wake nobody: only a worker command delivers."""


def wake() -> None:
    pass


def serve() -> None:
    pass


def stop() -> None:
    pass
