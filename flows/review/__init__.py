"""What people look at and decide.

`sheet` is the contact sheet of a run, `proxy` the small film of a preview, `gate` keeps decisions
as events in the store and holds the film back until every shot is approved. In: a plan, stored
frames. Out: pictures, decisions, who still waits.
"""
