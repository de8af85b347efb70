"""What agents do at once: nobody's update lost, own writes seen on every node, a killed node."""
