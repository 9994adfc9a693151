"""A client of jobserver's HTTP API, for other programs and for the command `jobserver`.

    from jobserver.client import Client, JobRequest

    client = Client("https://videos.example")
    client.sign_in("the password")  # or Client(url, token=key)
    job_id = client.send(JobRequest(videos=["clip.mp4"], variations=5))
    job = client.wait(job_id)
    for output in job.outputs:
        client.download(job_id, output, "results")

client     what the API offers, as methods with types
model      what goes in and comes out
errors     what can go wrong
transport  one request over HTTP; repeated where that helps
submit     files become a job
resumable  files that are uploaded one by one, and go on where they were cut off
multipart  a form that is read from files while it is sent
fetch      one output into a file: resumed, and verified
session    where the command keeps who is signed in
commands   the command; display: what it shows

It imports nothing of the server's own, and the standard library alone; the command also click
and tqdm.
"""

from jobserver.client.client import Client
from jobserver.client.errors import (
    ApiError,
    ClientError,
    Damaged,
    LocalProblem,
    NotSignedIn,
    ServerUnavailable,
)
from jobserver.client.model import Job, JobRequest, Output

__all__ = [
    "ApiError",
    "Client",
    "ClientError",
    "Damaged",
    "Job",
    "JobRequest",
    "LocalProblem",
    "NotSignedIn",
    "Output",
    "ServerUnavailable",
]
