"""A module to import."""

NAME = "sub"
