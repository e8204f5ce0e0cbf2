"""The pytest plugin; inert unless a test file asks for it. Imports nothing heavy: every pytest run loads it."""
