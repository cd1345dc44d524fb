"""Draft of an exercise for chapter 19, section "Ratings on a cluster": text, solution, checker, answers.

The checker belongs into lowrank_helpers/exercises/scale.py, RIGHT and WRONG into tests/package/exercises/scale.py.

:::{exercise} What a half-step ships
:label: ex-scale-shipped
:class: difficulty-1

Seven items, four users, rank 3. User 1 rated items 1, 2 and 3; user 2 the same; user 3 items 3, 4 and 6; user 4 items
1, 3, 4 and 6. Users 1 and 2 are one part, 3 and 4 the other; each part keeps its ratings. How many numbers does the
half-step for the users ship, there and back together? Check it with `exercises.scale.shipped(your_number)`.
:::

:::{dropdown} Hint
Claim 2 of {prf:ref}`prop-als-split`: write down which items each part needs.
:::

:::{solution-start} ex-scale-shipped
:label: sol-scale-shipped
:class: dropdown
:::

The first part needs items 1, 2 and 3, the second 1, 3, 4 and 6: seven columns of three numbers, 21. Four rows of three
numbers come back, 12. Items 5 and 7 never travel.

    print(exercises.scale.shipped(33))

:::{solution-end}
:::
"""

from lowrank_helpers.exercises._answers import checker, not_yet, number, right


@checker
def shipped(answer: object) -> str:
    """Check how many numbers the half-step for four users in two parts ships, at rank 3."""
    value = number(answer)
    if value == 33:
        return right("seven columns there and four rows back, of three numbers each; two items never travel.")
    if value == 21:
        return not_yet("that is what is sent to the parts; the rows that they found have to come back.")
    if value == 12:
        return not_yet("that is what comes back; the parts need columns before.")
    if value == 11:
        return not_yet("those are columns and rows; each has as many numbers as the rank.")
    if value == 27:
        return not_yet("an item that both parts need is sent twice.")
    if value == 54:
        return not_yet("a part needs no item that none of its users rated.")
    if value == 42:
        return not_yet("not every item that somebody rated is needed by both parts.")
    if value == 51:
        return not_yet("a part needs a column once, however many of its users rated the item.")
    return not_yet("list the items that each part needs; a column and a row have three numbers.")


RIGHT = [(shipped, 33)]
WRONG = [
    (shipped, 21, "come back"),
    (shipped, 12, "before"),
    (shipped, 11, "rank"),
    (shipped, 27, "twice"),
    (shipped, 54, "none of its users"),
    (shipped, 42, "by both parts"),
    (shipped, 51, "once"),
    (shipped, 13, "list the items"),
]


def test_answers() -> None:
    """As tests/package/exercises/test_exercises.py asks; to be dropped when merged."""
    assert all(check(answer).startswith("Right: ") for check, answer in RIGHT)
    for check, answer, word in WRONG:
        assert check(answer).startswith("Not yet: ") and word in check(answer)
    for garbage in (None, float("nan"), "33 numbers", [], [33, 33], 33j):
        assert shipped(garbage).startswith("Not yet: ")
