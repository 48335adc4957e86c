"""Who is answered, how often, and by whose address: Handles around a Handle. Pure: time is an argument."""
