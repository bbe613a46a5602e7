"""`hrm-rl benchmark --gpu-check`: all that has to be seen on a GPU, in the few minutes one may be had for."""
