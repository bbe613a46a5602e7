"""Compiled code over canvases: where the grid lies, and the least of its symmetric forms.

Numba's cache notices a change in the file of a function, not in those it calls: no function here calls one of
another file.

Legend: N canvases, L = size * size cells.
"""

from __future__ import annotations

import numpy as np

from envs.arc.canvas import COLOURS, FIRST_COLOUR
from envs.compiling import compiled


@compiled
def boxes_all(canvases, size, boxes):
    """The rectangle of coloured cells on each canvas (N, L), into boxes (N, 4): top, left, rows, columns;
    zeros where there is none."""
    for n in range(len(canvases)):
        top, left, bottom, right = size, size, 0, 0
        for row in range(size):
            for column in range(size):
                if canvases[n, row * size + column] >= FIRST_COLOUR:
                    top, left = min(top, row), min(left, column)
                    bottom, right = max(bottom, row + 1), max(right, column + 1)
        if bottom == 0:
            top, left = 0, 0
        boxes[n, 0], boxes[n, 1], boxes[n, 2], boxes[n, 3] = top, left, bottom - top, right - left


@compiled
def canonical_all(inputs, outputs, size, input_boxes, output_boxes, smallest):
    """The least form of each pair of canvases (N, L), into smallest (N, 2 L): both grids at the top left,
    without end marks, under whichever of the eight symmetries of the square, the colours of both but black
    numbered as they occur."""
    length = size * size
    form = np.zeros(2 * length, np.uint8)
    code = np.zeros(FIRST_COLOUR + COLOURS, np.uint8)
    for n in range(len(inputs)):
        for which in range(8):
            turned = which & 4 > 0
            form[:] = 0
            code[:] = 0
            code[FIRST_COLOUR] = FIRST_COLOUR
            known = FIRST_COLOUR + 1
            for part in range(2):
                canvas, box = (inputs[n], input_boxes[n]) if part == 0 else (outputs[n], output_boxes[n])
                top, left, rows, columns = box[0], box[1], box[2], box[3]
                height, width = (columns, rows) if turned else (rows, columns)
                for i in range(height):
                    for j in range(width):
                        row, column = (j, i) if turned else (i, j)
                        if which & 1:
                            row = rows - 1 - row
                        if which & 2:
                            column = columns - 1 - column
                        token = canvas[(top + row) * size + left + column]
                        if token < FIRST_COLOUR:
                            continue
                        if code[token] == 0:
                            code[token] = known
                            known += 1
                        form[part * length + i * size + j] = code[token]
            less = which == 0
            if not less:
                for cell in range(2 * length):
                    if form[cell] != smallest[n, cell]:
                        less = form[cell] < smallest[n, cell]
                        break
            if less:
                smallest[n] = form
