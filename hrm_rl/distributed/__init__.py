"""All that knows Ray: Train, Tune and the curriculum's actor.

cluster.py           joining or starting Ray, its environment, the private parts of it that are used
watch.py             waiting for Train or Tune, with lines shown and Ctrl-C heard
train.py             the driver of a run
group.py             the process group of its workers, and what of Ray Train it goes without
train_worker.py      what each worker of a run runs
curriculum_actor.py  the curriculum of a run with several workers
sweep.py             the driver of a sweep
trial.py             what each trial of a sweep runs
schedulers.py        which trials are stopped early, or changed in mid-run
trial_log.py         what is noted of each trial while the sweep runs
"""
