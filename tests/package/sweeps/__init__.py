"""Every public function, by the same questions: scale, determinism, inputs, misuse."""
