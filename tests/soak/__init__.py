"""`make soak`: one machine under load and faults, then what must hold; see __main__."""
