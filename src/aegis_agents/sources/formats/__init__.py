"""One module per product format; the registry names them all."""
