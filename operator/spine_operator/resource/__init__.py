"""The custom resource as frozen values: parsed, checked, with the seats that it asks for. Pure.

It must not know what exists in Kubernetes, what a node reports, or how an object is rendered.
"""
