"""Published weights by name: what there is, how it is fetched and proven, and constructors that take it."""
