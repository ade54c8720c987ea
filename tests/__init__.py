"""What tests promise about onetrip, on real servers."""
