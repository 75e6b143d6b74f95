"""edit_classes(), combine(), split_head(): heads changed, joined and parted in finished files, without training."""
