"""The pages of docs/reference that are made from the code: `make generate` writes them, a test compares them."""
