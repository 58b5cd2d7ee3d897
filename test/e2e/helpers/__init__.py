"""What the end-to-end tests share. Standard library and pytest only."""
