from django.dispatch import Signal

# A process that delivers has looked for what is left undone, as it does every MAIL_SWEEP_INTERVAL seconds.
swept = Signal()
