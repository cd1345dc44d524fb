"""What to install where a module needs the extra `torch` and it is not there."""


def advice(error: ModuleNotFoundError, needing: str) -> ModuleNotFoundError:
    """Return an error of the same kind that says what to install; that something else is missing stays as it is."""
    if error.name not in ("torch", "safetensors"):
        return error
    return ModuleNotFoundError(
        f"{needing}: {error.name} must be installed; it is not. It comes with the extra torch: "
        'pip install "lowrank_helpers[torch]".',
        name=error.name,
    )
