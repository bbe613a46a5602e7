"""How a model thinks: what it answers segment by segment, what can be measured of that, and pictures of both.

thinking.py runs the model, measures.py has the formulas, style.py how pictures look, solving.py the pictures
of one puzzle; the other modules make the report of scripts/analyze.py.
"""
