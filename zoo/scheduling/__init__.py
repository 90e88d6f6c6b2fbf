"""Many runs on one machine, a Ray cluster or Slurm; imports no model and no TensorFlow.

A table of `jobs.Job`s is all that workers share. Each worker goes through it, claims what nobody
else is at (`claims`), calls its commands (`worker`) and notes failures (`tries`). What has been
done is told by files in the runs' folders alone: any number of workers, of drivers and of machines
with that file system may be at one table, and any of them may be lost.
"""
