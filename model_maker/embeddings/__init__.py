"""What a backbone gives for photos: computed here or on a cluster, stored by content."""
