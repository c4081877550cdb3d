"""The state of a venue: records, the double-entry ledger, the event log, and what proves them."""
