"""Which change of the topology comes next, and which guard holds it back: `next_action`.

Looks at reports and the document alone; knows nothing of single records or requests.
"""
