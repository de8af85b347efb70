"""What people read: the status with its conditions, the reasons of `Stalled`, and events. Pure.

It is output only: nothing may decide by it, and it must not know how an action is executed.
"""
