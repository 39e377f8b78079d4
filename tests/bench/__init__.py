"""`make bench`: start-up and memory against Python, and a health check against its calls made one after another."""
