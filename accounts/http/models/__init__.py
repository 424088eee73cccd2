"""The objects of the API as JSON: what it takes and what it gives. No output has a secret."""
