"""What a report reads from stores: pictures and failures, which may have gone since."""

from __future__ import annotations

import json
from typing import Any

from cluster.errors import DougaError, StoreError
from cluster.store.base import Store
from cluster.store.open import open_store
from flows.runs.night import NightEpisode, NightShot


class Objects:
    """Reads objects of a night's store, or else of an episode's own. What cannot be had is None: a
    report is written all the same."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._others: dict[str, Store] = {}

    def get(self, name: str, episode: NightEpisode) -> bytes | None:
        """An object's bytes."""
        if not name:
            return None
        for store in self._stores(episode):
            try:
                return store.get(name)
            except (StoreError, DougaError):
                continue
        return None

    def failure(self, episode: NightEpisode, shot: NightShot) -> dict[str, Any]:
        """The document that says why a shot failed; empty where there is none."""
        data = self.get(shot.failure, episode)
        try:
            document = json.loads(data) if data else {}
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}

    def _stores(self, episode: NightEpisode) -> list[Store]:
        if not episode.store or episode.store == self._store.url:
            return [self._store]
        if episode.store not in self._others:
            try:
                self._others[episode.store] = open_store(episode.store)
            except DougaError:
                return [self._store]
        return [self._store, self._others[episode.store]]
