"""The coordinator's desk: pages and an API over what the stores hold.

`library` lists what changes once for all who look, `shots` folds it into states (pure), `views` are
the pages' models (pure), `web` and `api` serve both, `media` makes what a browser plays, `access`
says who may what, `go_on` has the film follow its last approval, `farm` asks for the queue and the
nodes. In: stores. Out: pages, events, decisions.
"""
