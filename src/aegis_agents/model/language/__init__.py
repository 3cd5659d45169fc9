"""The slow path: a small generative model, asked only where the fast one is unsure. It decides nothing.

Imports of torch and transformers stay inside the functions that need them (extra `llm`).
"""
