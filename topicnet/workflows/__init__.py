"""Steps behind the commands: prepare a corpus, fit, transform, evaluate and export.

A bundle is a saved model with its vocabulary and text pipeline. The kept columns are the metadata of the documents,
such as labels, that a configuration names to be copied to the tables of a run.
"""
