"""Rules between the replicas of one slot: quorums, tallies of answers, epochs, stable time, gossip.

Knows nothing of reports, of the operator or of planned changes.
"""
