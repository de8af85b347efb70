"""Parts of a node by themselves, in this process: what one stage costs. Imports the node's modules."""
