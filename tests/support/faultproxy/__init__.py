"""A reverse proxy that counts, refuses, delays and cuts requests, and strikes at a chosen one.

It understands HTTP, not Kubernetes: of a path it knows where the name of the resource stands.
"""

from faultproxy.background import BackgroundLoop
from faultproxy.faults import Cut, Delay, Refuse, Request, Rule
from faultproxy.proxy import FaultProxy

__all__ = ["BackgroundLoop", "Cut", "Delay", "FaultProxy", "Refuse", "Request", "Rule"]
