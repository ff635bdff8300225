"""Files and names that nobody should send, and what becomes of them."""
