"""Work that earlier versions have left pending, and how it was made."""
