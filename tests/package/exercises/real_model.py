"""Right answers to the exercises of the project, and the usual wrong ones with a word of what the checker says."""

from lowrank_helpers.exercises import real_model as e

RIGHT = [(e.four_bits, 5.70), (e.logits, 5.37), (e.learned, 3)]
WRONG = [
    (e.four_bits, 5.59, "scale"),
    (e.four_bits, 4.14, "stay"),
    (e.four_bits, 4.015, "stay"),
    (e.four_bits, 16.06, "16 bits"),
    (e.four_bits, 5.70e9, "bytes"),
    (e.four_bits, 7.0, "apart"),
    (e.logits, 1.074, "copy"),
    (e.logits, 3.221, "gradient"),
    (e.logits, 4.295, "two bytes"),
    (e.logits, 5.369e9, "bytes"),
    (e.logits, 9.0, "three"),
    (e.learned, 2, "stop"),
    (e.learned, 4, "given"),
    (e.learned, 9, "whole"),
    (e.learned, 5, "itself"),
]
