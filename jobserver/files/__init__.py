"""Where bytes live, behind one protocol.

store       the protocol: receive, put, publish, open, delete, list
keys        the names of objects
local       folders on one machine; the default
root        a folder that belongs to one database, and the space on its disk
part_file   an upload that is being received into such a folder
resumable   one that comes in several requests
durability  what survives a power cut
zip         an archive of objects whose length is known before its first byte
"""
