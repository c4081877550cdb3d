"""Changes imposed on the market: dials in, dials out."""
