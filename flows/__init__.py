"""The order of work: the flow over DVC's graph, and the command line. No mathematics."""
