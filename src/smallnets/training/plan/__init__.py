"""How a net is run: device, precision and layout, fixed or measured."""
