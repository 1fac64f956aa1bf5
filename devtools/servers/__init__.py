"""What the connector is tried against: servers, stand-ins, a proxy that spoils answers."""
