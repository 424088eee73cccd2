"""Between libmilter and the rest: the only package that imports `Milter`."""
