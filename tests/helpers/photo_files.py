"""Folders of files that stand for photos, where only their bytes and names matter."""


def fill(root, files):
    """Writes {"class/name.jpg": content}; a Dataset reads bytes, not pixels, so any content will do."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else str(content).encode())
    return root


def photos(counts, suffix=".jpg"):
    return {f"{name}/{i}{suffix}": f"{name} {i}" for name, count in counts.items() for i in range(count)}
