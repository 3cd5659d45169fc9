"""Earned autonomy: what reviewed decisions have shown, and what that unlocks.

Read in this order: cells (what the gate sees), rule (what has to be shown), evalue (how it is shown),
campaigns (what counts as one vote), reviews (the ledger's entries), book (the state that they add up to),
sampling and trial (what is put before people). Nothing here reads a store or a clock.
"""
