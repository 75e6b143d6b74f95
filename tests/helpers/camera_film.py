"""Films for Chromium's fake camera, which shows them again and again."""

from PIL import Image, ImageEnhance


def write(path, photo):
    """Writes a photo, still, as raw 4:2:0 frames."""
    _write(path, [Image.open(photo)] * 10, rate=30)


def write_moving(path, photos, *, rounds):
    """Writes photos one after the other, ten a second, in each round a little darker: no two frames are the same."""
    small = [Image.open(photo).resize((160, 120)) for photo in photos]
    shades = [1 - 0.5 * number / rounds for number in range(rounds)]
    _write(path, [ImageEnhance.Brightness(each).enhance(shade) for shade in shades for each in small], rate=10)


def _write(path, pictures, *, rate):
    width, height = pictures[0].size
    frames = []
    for picture in pictures:
        luma, *chroma = picture.convert("YCbCr").split()
        planes = [luma, *(plane.resize((width // 2, height // 2), Image.Resampling.BOX) for plane in chroma)]
        frames.append(b"FRAME\n" + b"".join(plane.tobytes() for plane in planes))
    head = f"YUV4MPEG2 W{width} H{height} F{rate}:1 Ip A1:1 C420jpeg\n"
    path.write_bytes(head.encode() + b"".join(frames))
