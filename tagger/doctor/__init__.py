"""`tagger doctor`: check the machine, the Engine and the registry before the first release."""
