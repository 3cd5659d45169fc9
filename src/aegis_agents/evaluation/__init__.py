"""Suites that measure the model, as data: Case, Dataset and Evaluator of pydantic-evals (extra `eval`).

What a suite needs from outside comes from a folder that its user names; the others run on
families and situations of our own that no model was trained on.
"""
