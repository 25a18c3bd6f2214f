"""One run from a landing folder to served scores, as `fvi run` and `make demo` do it. Stages live in `defs/`."""
