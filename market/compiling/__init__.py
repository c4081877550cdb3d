"""How kernels are compiled, kept and called, and the arrays they work on."""
