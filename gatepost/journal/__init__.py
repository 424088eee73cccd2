"""Journal: the decisions of the daemons about mail, on their way to accounts.

A daemon puts a `JournalRecord` for each decision into a `JournalSender`, which never blocks and
never fails. Its thread sends them to `gatepost accounts`, where `gatepost trace` finds them. A
record that cannot be sent is dropped and counted: the log has every decision in any case.
"""
