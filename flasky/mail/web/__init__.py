"""Answer browsers, in the admin and in the development mailbox."""
