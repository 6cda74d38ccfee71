"""Say by an exception that no message is to blame."""


class TransportUnavailable(Exception):
    """The transport cannot be reached or does not let us in; no message is to blame."""

    def __init__(
        self,
        reason: str,
        is_crowded: bool = False,
        retry_after: float | None = None,
        is_about_account: bool = False,
        senders: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(reason)
        self.is_crowded = is_crowded  # the server closes the channel (421), perhaps because too many are open
        self.retry_after = retry_after  # s for which it wants no further request, if it says so
        self.is_about_account = is_about_account  # its quota or a block: nothing that ends within seconds
        self.senders = senders  # whose mails alone are not taken, if the others' are
