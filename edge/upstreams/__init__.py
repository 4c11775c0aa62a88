"""Services that speak HTTP: which instance a request goes to, how it gets there, and what comes back."""
