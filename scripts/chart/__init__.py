"""Checks of the Helm chart: `render` is what they look at, each other module is one concern."""
