"""A bundle into source trees for its targets."""
