"""What people look at: figures, pages and cards."""
