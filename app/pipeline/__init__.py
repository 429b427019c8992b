"""From texts and labels to ranked label issues, on arrays and files; no database."""
