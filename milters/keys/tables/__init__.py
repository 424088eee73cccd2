"""KeyTable and SigningTable of opendkim, used by the milter unchanged.

`dataset` reads the file of an option, `parse` the lines of both tables, and `expand` finds the keys
that they name. `author` combines the tables with the loaded keys.
"""
