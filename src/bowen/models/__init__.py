"""Land models behind one protocol: the physics alone, with a network that sets its parameters, and a network alone."""
