"""What several commands share of their flags: common ones, those of a search, and how a run is resumed."""
