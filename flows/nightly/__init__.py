"""A night of episodes: what is rendered before morning, how it compares with the last good one."""
