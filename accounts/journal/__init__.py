"""Journal of decisions about mail, from which `gatepost trace` tells what became of a message.

The other daemons send their decisions (`gatepost/journal/`). The journal is no part of the
datastore: it is bounded in time and size, and its loss loses no mail. `accounts/traces/` is about
logins and changes of accounts instead.
"""
