"""What is built from this repository, and checks of it: editions, images."""
