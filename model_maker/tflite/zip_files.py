"""Files in the zip behind a `.tflite`, where clients look for labels."""

import io
import zipfile

from model_maker.errors import ModelError

# Zip files carry dates; a fixed one keeps equal models equal.
_DATE = (1980, 1, 1, 0, 0, 0)
# And say on what system they were made, which is fixed to be the same everywhere (APPNOTE.TXT 4.4.2).
_UNIX = 3
# A label file of a published model has some kilobytes; a bomb does not get to unfold.
_MOST_BYTES = 16 << 20


def append(content: bytes, files: dict[str, bytes]) -> bytes:
    """Appends files as a zip, stored uncompressed: clients map them in place."""
    whole = io.BytesIO(content)
    whole.seek(0, io.SEEK_END)
    with zipfile.ZipFile(whole, "a", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system = _UNIX
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return whole.getvalue()


def read(content: bytes, name: str) -> bytes | None:
    """Returns a file from the zip behind a model; None where there is none of that name."""
    stream = io.BytesIO(content)
    if not zipfile.is_zipfile(stream):
        return None
    with zipfile.ZipFile(stream) as archive:
        entry = archive.NameToInfo.get(name)
        if entry is None:
            return None
        # Only of these two does the size that is stated limit what unfolds.
        if entry.file_size > _MOST_BYTES or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ModelError(f"The file {name} in the model is packed in another way than a model's, or too large.")
        return archive.read(entry)
