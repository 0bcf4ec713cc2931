"""How well the shipped path finds and measures lesions."""
