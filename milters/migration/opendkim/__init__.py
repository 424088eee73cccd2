"""Import of an opendkim configuration into Gatepost.

`configuration` reads opendkim.conf as opendkim does. `milters.keys.tables` reads the files that its
options name, because the milter can use a KeyTable and a SigningTable unchanged. `convert` writes a
gatepost.toml and reports what it left out. The import follows opendkim.conf(5) and opendkim(8) of
version 2.11 and was compared with that version; see docs/from-opendkim.md.
"""
