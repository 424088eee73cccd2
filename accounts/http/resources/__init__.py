"""Operations of the API: a module for each kind of object, with a table of its operations."""
