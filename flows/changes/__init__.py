"""Why a shot is made again.

`fingerprint` is what a shot was made from, `manifest` keeps it beside the shot, `compare` says what
differs, `why` asks the store for a whole plan, `changed` what a change would cost. In: a plan, a
store. Out: a reason in words for each shot.
"""
