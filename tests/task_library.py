"""Runs the TFLite Task Library, which cannot live in a process with TensorFlow; prints JSON.

    task_library.py MODEL... -- PHOTO...

For each model: {"scores": [{label: score}, one a photo], "metadata": {...}, "files": [...],
"min_parser_version": "..."}, or {"error": "..."}.
"""

import ctypes
import json
import sys

sys.modules["tensorflow"] = None

import libusb_package  # noqa: E402

ctypes.CDLL(str(libusb_package.get_library_path()), ctypes.RTLD_GLOBAL)

from tensorflow_lite_support.metadata.cc.python import _pywrap_metadata_version  # noqa: E402
from tflite_support import metadata  # noqa: E402
from tflite_support.task import core, processor, vision  # noqa: E402


def run(model, photos):
    try:
        classifier = vision.ImageClassifier.create_from_options(
            vision.ImageClassifierOptions(
                base_options=core.BaseOptions(file_name=model, num_threads=1),
                classification_options=processor.ClassificationOptions(max_results=-1),
            )
        )
        scores = []
        for photo in photos:
            [found] = classifier.classify(vision.TensorImage.create_from_file(photo)).classifications
            scores.append({category.category_name: category.score for category in found.categories})
        with open(model, "rb") as file:
            displayer = metadata.MetadataDisplayer.with_model_buffer(file.read())
        return {
            "scores": scores,
            "metadata": json.loads(displayer.get_metadata_json()),
            "files": displayer.get_packed_associated_file_list(),
            "min_parser_version": _pywrap_metadata_version.GetMinimumMetadataParserVersion(
                displayer.get_metadata_buffer()
            ),
        }
    except (RuntimeError, ValueError) as error:
        return {"error": str(error)}


if __name__ == "__main__":
    split = sys.argv.index("--")
    print(json.dumps({model: run(model, sys.argv[split + 1 :]) for model in sys.argv[1:split]}))
