"""Reference adapters. Nothing is imported here, so that an application loads only the drivers it uses."""
