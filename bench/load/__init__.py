"""Load generators: closed loops that say how much was acknowledged. They know no server's inside."""
