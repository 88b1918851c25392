"""`tagger doctor`: ask the Engine and the registry what the first day needs to know."""
