"""Objects of the datastore as administrators see them: a module for each, with the same verbs.

`add`, `change`, `remove` and the like take a `Write` (see `Database.write`); `get` and `find` take
a connection, and a `Write` has one. Each is done completely or not at all, checks all its
arguments, and enters its changes in the audit log. They raise `NoSuchObject`, `Invalid`,
`AlreadyThere` and `Conflict`.

A `version` is that of the object that the caller saw; None changes the object in any version. A
change without effect leaves no entry, and the version stays.

Passwords are hashes with their scheme before them, as `{ARGON2ID}$argon2id$…`; `accounts.passwords`
makes them.
"""
