"""Model cards: what a registered version is, what it was measured on, for whom it works less well, and its limits.

Every number of a card is read from the registry or a table, or computed here from the stored predictions; none is
typed. Deciding on a version belongs to `gate`.
"""
