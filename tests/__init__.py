"""The suite: `make test` runs all of it, `make test-fast` the part without servers."""
