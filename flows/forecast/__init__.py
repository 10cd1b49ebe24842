"""What a plan will cost and when it will be done, from what such work took before."""
