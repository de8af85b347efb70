"""The next change of the topology, and the guards that hold it back: `next_action`.

Looks at reports and the document alone; knows nothing of single records or requests.
"""
