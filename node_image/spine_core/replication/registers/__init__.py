"""Registers: CASPaxos on the replicas of one record. Pure rules; nothing serves them yet.

A record starts weak; its first round turns it into a register on the same replicas. Source: Rystsov,
"CASPaxos: Replicated State Machines without logs", 2018, with a promise that carries the weak record.
"""
