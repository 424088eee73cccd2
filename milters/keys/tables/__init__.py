"""KeyTable and SigningTable of opendkim, which the milter uses as they are.

`dataset` reads the file that an option points to, `parse` the lines of both tables, and `expand`
finds the keys that they name. `author` brings the tables together with the keys that were read.
"""
