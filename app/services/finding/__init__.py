"""Finding: scores, kinds of issue and the evidence beside a row."""
