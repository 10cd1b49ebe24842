"""Why a shot is made again."""
