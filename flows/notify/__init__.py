"""Tell people and programs that a run ended: webhooks and mail."""
