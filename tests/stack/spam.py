"""Mail that every spam filter takes for spam, and every virus scanner for a virus.

Both are written in two parts, so that no scanner takes this file for one.
"""

from __future__ import annotations

GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
EICAR = "X5O!P%@AP[4\\PZX54(P^)7CC)7}" + "$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*\r\n"
