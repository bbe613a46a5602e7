"""A model behind an API and a web page: an engine whose slots all requests share, and the application in
front of it. Knows no Ray (hrm_rl/distributed/serve.py does)."""
