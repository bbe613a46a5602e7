"""Ray: one run over several workers, the curriculum's actor, and the check that the machine can carry it.
The only part of hrm_rl that imports ray."""
