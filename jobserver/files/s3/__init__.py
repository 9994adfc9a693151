"""The store of many machines: objects in one bucket, below one prefix.

store     the protocol of files/store.py over a bucket
cleanup   what is listed and deleted
incoming  an upload that becomes parts while it comes
resumable one that comes in several requests; what is less than a part waits in an object
reader    an object as a file that is read by ranges
root      whose bucket this is, and whether it answers
client    boto3: the one module that imports it
errors    what the store answers, as our errors
"""
