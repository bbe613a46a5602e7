"""Sweeps: spaces of settings, their trials, and what is learned from them; nothing here knows Ray."""
