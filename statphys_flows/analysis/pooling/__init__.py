"""The draws of all points of a scan, used together."""
