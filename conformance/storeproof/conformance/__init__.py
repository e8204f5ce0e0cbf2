"""The conformance kit: holds any store to the specification."""
