"""A timeline back to the editor: shot files, handles, provenance, OTIO and EDL."""
