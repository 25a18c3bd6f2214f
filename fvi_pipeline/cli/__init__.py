"""The `fvi` command: arguments in, words out. What a command does belongs to the package that it calls."""
