"""The store contract as data, and the Python types that stand for it.

Import what you need from the modules: `types`, `errors`, `store` and `arguments` for adapters; `loader` for the model.
"""
