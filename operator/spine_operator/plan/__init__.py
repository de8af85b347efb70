"""What to do next: from the observation to applies and one decision. Pure.

It must not know ports, clocks or the status: an action says what, `execute` knows how.
"""
