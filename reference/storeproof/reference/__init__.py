"""The reference model: executes the specification, and nothing else."""
