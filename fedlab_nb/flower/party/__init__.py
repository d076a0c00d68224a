"""What runs at a site: the party's own process, its settings, and the ClientApp that hands messages over to it."""
