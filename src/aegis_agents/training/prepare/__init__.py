"""Secure data preparation: nothing is learnt from that can't be named, was not looked at, or says the answer by itself."""
