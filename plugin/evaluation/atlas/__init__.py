"""What a data set of bookmarks holds, for the eye: `lesionmark explore`."""
