"""PLACEHOLDER so that importers.py imports: the engineer of this module overwrites it whole."""


def kind(address):
    return None


def is_download(address):
    return False


def convert(address, image_size):
    raise NotImplementedError
