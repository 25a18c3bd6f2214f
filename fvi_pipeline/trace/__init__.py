"""The way of a number, backwards: mart ← gold ← silver ← bronze ← file. Read-only; printing belongs to `cli`."""
