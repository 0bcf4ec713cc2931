"""Learning the detector's weights; never imported by the runtime."""
