"""The agent that searches: it assumes digits, doubts them, and starts over."""
