"""Sums to learn, and tiny decoders to learn them."""

from lowrank_helpers.finetuning import Examples, Recipe

ROWS = tuple({"prompt": f"What is {i} and {i}?", "answer": f"It is {2 * i}."} for i in range(24))
SUMS = Examples("answers", ROWS, tuple(range(1, 25)), "sums.jsonl")
TEXTS = [f"{row['prompt']} {row['answer']}" for row in ROWS] * 3
TALK = Examples(
    "messages",
    (
        {
            "messages": [
                {"role": "system", "content": "Add."},
                {"role": "user", "content": "1 and 1?"},
                {"role": "assistant", "content": "2"},
                {"role": "user", "content": "2 and 2?"},
                {"role": "assistant", "content": "4"},
            ]
        },
    ),
    (7,),
    "talk.jsonl",
)


def recipe(model, folder, **changes):
    """A short run of the sums."""
    options = {"rank": 2, "context": 64, "epochs": 2, "batch_size": 4, "learning_rate": 1e-2, "save_every": 3}
    return Recipe(model=str(model), folder=folder, **{**options, "recompute": False, **changes})
