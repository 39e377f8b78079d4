"""`make demo`: acts that deploy, use and remove the integration. Every check is made; the first that fails ends the demo."""
