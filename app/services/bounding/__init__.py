"""Bounding: changes in bulk, estimated before, limited, and taken back as one."""
