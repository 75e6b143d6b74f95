"""Text and image towers of CLIP and SigLIP: words and photos as vectors that can be compared, without torch."""
