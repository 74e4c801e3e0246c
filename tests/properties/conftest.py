"""How many examples are drawn; how fast a shared machine is says nothing about a property."""

from hypothesis import settings

settings.register_profile("properties", deadline=None, max_examples=100)
settings.load_profile("properties")
