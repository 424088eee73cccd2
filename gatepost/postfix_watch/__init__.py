"""Watch of a Postfix: the state of its queue, and what its log says about deliveries.

`gatepost postfix-watch` runs beside Postfix and only reads. Mail never passes it or waits for it,
and its end loses nothing but reports.
"""
