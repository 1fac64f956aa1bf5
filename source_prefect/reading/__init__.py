"""How each kind of stream is read: what is asked, in which order, and what is sent."""
