"""Right answers to the exercises of the project, and the usual wrong ones with a word of what the checker says."""

from lowrank_helpers.exercises import real_model as e

RIGHT = [(e.four_bits, 5.70), (e.held_out, 385), (e.learned, 3)]
WRONG = [
    (e.four_bits, 5.59, "scale"),
    (e.four_bits, 4.14, "stay"),
    (e.four_bits, 4.015, "stay"),
    (e.four_bits, 16.06, "16 bits"),
    (e.four_bits, 5.70e9, "bytes"),
    (e.four_bits, 7.0, "apart"),
    (e.held_out, 384, "round up"),
    (e.held_out, 400, "2 for"),
    (e.held_out, 97, "1.96"),
    (e.held_out, 9.8, "root"),
    (e.held_out, 271, "90 %"),
    (e.held_out, 20, "√n"),
    (e.held_out, 9604, "one point"),
    (e.held_out, 50, "solve"),
    (e.learned, 2, "stop"),
    (e.learned, 4, "given"),
    (e.learned, 9, "whole"),
    (e.learned, 5, "itself"),
]
