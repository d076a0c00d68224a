"""Records to pictures: the numbers drawn, the light SVG, the interactive figures, the diagram of a federation."""
