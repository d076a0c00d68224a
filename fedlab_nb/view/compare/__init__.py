"""Several runs in one picture: what is drawn (chart), as plain shapes (picture), to explore (figure), and meanwhile."""
