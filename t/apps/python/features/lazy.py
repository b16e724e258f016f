"""A module that only functions import."""

NAME = "lazy"
