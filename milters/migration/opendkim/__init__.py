"""opendkim's files: read as opendkim reads them, and turned into a configuration of Gatepost.

`configuration` reads opendkim.conf. The files that its options point to are read by
`milters.keys.tables`, because the milter can use a KeyTable and a SigningTable as they are.
`convert` makes a gatepost.toml of them and says what was left out. What opendkim does was looked up
in opendkim.conf(5) and opendkim(8) of 2.11 and tried with that version; see docs/from-opendkim.md.
"""
