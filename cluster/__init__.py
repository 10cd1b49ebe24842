"""WHERE: settings, store, keys, Ray. Knows nothing of animation."""
