"""Helpers on top of JAX that know no physics: array types, rematerialization."""
