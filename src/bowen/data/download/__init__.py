"""Downloads of sample towers and of the networks' records by site."""
