"""The objects of the datastore, as people deal with them: a module for each, with the same verbs.

`add`, `change`, `remove` and the like take a `Write` (see `Database.write`); `get` and `find` take
a connection, and a `Write` has one. Each is done whole or not at all, checks all that it is given,
and enters what it did in the audit log. They raise `NotFound`, `Invalid`, `AlreadyThere` and
`Conflict`.

A `version` is that of the object as the caller saw it; None changes whatever is there. A change
that changes nothing is no change: it leaves no entry, and the version stays.

Passwords are hashes with their scheme before them, as `{ARGON2ID}$argon2id$…`; to make one is the
work of `accounts.passwords`.
"""
