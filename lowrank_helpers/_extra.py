"""What to install where a module needs an extra and it is not there."""

EXTRAS = {
    **dict.fromkeys(("torch", "safetensors"), "torch"),
    **dict.fromkeys(("accelerate", "bitsandbytes", "datasets", "peft", "transformers", "trl"), "finetune"),
}


def advice(error: ModuleNotFoundError, needing: str, extra: str | None = None) -> ModuleNotFoundError:
    """Return an error of the same kind that says what to install; that something else is missing stays as it is."""
    if error.name not in EXTRAS:
        return error
    extra = extra or EXTRAS[error.name]
    return ModuleNotFoundError(
        f"{needing}: {error.name} must be installed; it is not. It comes with the extra {extra}: "
        f'pip install "lowrank_helpers[{extra}]".',
        name=error.name,
    )
