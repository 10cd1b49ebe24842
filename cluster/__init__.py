"""WHERE: settings, store, keys, Ray; knows nothing of animation.

The only house that imports ray. In: names, bytes, calls. Out: the same bytes, checked, and the
answers of calls, wherever they were computed.
"""
