"""Reports: the state of each daemon, on its way to accounts.

A daemon makes a `ReportSender` at its start. Its thread tells accounts once a minute that the
daemon is there, and what is wrong with it. Mail never waits for that, and a lost report costs
nothing: the next one says the same.
"""
