"""Answers to the exercises, one module a chapter: RIGHT holds (checker, answer), WRONG (checker, answer, word).

The word stands in the sentence with which the checker turns the answer down. tests/test_exercises.py runs them all.
"""
