"""What a sweep left in its folder: trials, curves, report and pictures.

folder.py      the name of everything in the folder
records.py     what the driver of a sweep notes: sweep.yaml and trial.json
reading.py     the sweep as its folder tells, curves and scores included
display.py     what is shown while it runs
report.py      the final table, results.csv, best.yaml
plots.py       the pictures
importance.py  how much each setting explains
hparams.py     TensorBoard's HPARAMS tab
"""
