"""The book's machinery: reading notebooks, the ledger and its claims, the editions, the Sphinx extension."""
