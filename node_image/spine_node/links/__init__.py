"""Links between nodes: one WebSocket from each node to each of its peers, many calls on it at once."""
