"""The route table as an operator meets it: read from a file or an edge, shown, compared, and put in force."""
