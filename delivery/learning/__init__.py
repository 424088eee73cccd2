"""Service by which users teach the spam filter, over HTTP, and its client."""
