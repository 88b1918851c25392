"""Connects the steps of a release with real Engines and real registries; the only folder that opens both."""
