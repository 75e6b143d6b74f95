"""edit_classes(), combine(), split_model(): edit, combine and separate heads of finished files, without training."""
