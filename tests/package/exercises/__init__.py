"""Answers to the exercises, a module for each of lowrank_helpers.exercises: RIGHT holds (checker, answer), WRONG
(checker, answer, word), and the word stands in the sentence with which the checker turns the answer down.
"""
