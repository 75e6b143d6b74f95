"""A film for Chromium's fake camera, which shows one photo."""

from PIL import Image


def write(path, photo):
    """Writes the photo, still, as raw 4:2:0 frames."""
    luma, *chroma = Image.open(photo).convert("YCbCr").split()
    width, height = luma.size
    planes = [luma, *(plane.resize((width // 2, height // 2), Image.Resampling.BOX) for plane in chroma)]
    frame = b"FRAME\n" + b"".join(plane.tobytes() for plane in planes)
    path.write_bytes(f"YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420jpeg\n".encode() + 10 * frame)
