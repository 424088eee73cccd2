"""Mail programs that read From, as oracles for `msgauth.dmarc.find_author`.

Each reader takes the values of From fields and returns the addresses that it would show for each,
as ``local@domain``. An address without a domain is left out: it is no author for anybody.
"""
