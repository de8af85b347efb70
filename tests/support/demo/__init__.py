"""`make demo`: the whole promise on real Kubernetes, on real input, without a question asked."""
