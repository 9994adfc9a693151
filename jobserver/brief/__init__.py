"""The brief: what shall vary, read, checked, and planned. Pure: no file, no clock, no database.

Read in this sequence:

model                             a brief, its files, its outputs as values
document, schema, schema.json     a client's JSON, read strictly, held to its JSON Schema
text, names                       texts that can be drawn; names of outputs
parse, stored                     a document becomes a Brief, and is kept with its job
combine, space, pairs, sample     which combinations of the axes are made
plan                              the outputs of a job
timeline, frames, assemble        the shots of each output, once the files are probed
seeds                             of which number the looks of each main clip are drawn
"""
