"""The rules of jobs, without HTTP and without a driver. Start with `model`, then `queue`.

model      typed rows: what a job, a file, an output, a claim is
queue      insert, claim, renew, release, finish, fail, reschedule, cancel, retry
stages     of a job with a brief: which file may be worked on, who waits for whom
shots      of a job with a brief: what is encoded once and joined often
standing   where each job stands: its turn, what is before it, its revision
queries    what is read
events     each change of state, recorded in its transaction
quota      room: counted, reserved, evicted
retention  how long jobs are kept; how they are deleted
clock      whether the clock may be believed
sweep      what belongs to no job
ownership  whose folders these are
"""
