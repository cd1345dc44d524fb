"""The project, a real model on one's own data, proves nothing and has no observation: its numbers are the reader's."""

from book.claims import Claim

CLAIMS: dict[str, Claim] = {}
