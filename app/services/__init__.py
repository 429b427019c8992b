"""What the product does. Twelve rooms, and the datasets that all of them are about."""
