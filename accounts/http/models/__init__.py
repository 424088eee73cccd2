"""Models of the API's JSON, for requests and answers. No answer contains a stored secret."""
