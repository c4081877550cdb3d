"""Questions put to the market: scenarios, stresses, studies and their inference."""
